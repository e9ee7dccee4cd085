# The tracker on a Jetson Thor: JetPack 7 (Ubuntu 24.04, CUDA 13, Python 3.12), ROS 2 Jazzy. There is no
# l4t-jetpack image any more; NVIDIA's images for ARM servers run on it, this one with TensorRT. Choose
# a tag whose CUDA is not newer than that of the driver (nvidia-smi). Build it on the Jetson:
#   docker build -f deployment/jetpack7.Dockerfile -t siampolar_ros:jetpack7 .
# Not built by this project's CI and never run: it has neither an ARM machine nor a Jetson.
ARG TENSORRT=25.08-py3
FROM nvcr.io/nvidia/tensorrt:${TENSORRT}
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV ROS_DISTRO=jazzy DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8

# ROS 2 as on any Ubuntu: https://docs.ros.org/en/jazzy/Installation/Ubuntu-Install-Debs.html
ADD https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
  /usr/share/keyrings/ros-archive-keyring.gpg
RUN chmod 644 /usr/share/keyrings/ros-archive-keyring.gpg \
  && echo "deb [signed-by=/usr/share/keyrings/ros-archive-keyring.gpg]" \
    "http://packages.ros.org/ros2/ubuntu noble main" > /etc/apt/sources.list.d/ros2.list \
  && apt-get update \
  && apt-get install -y --no-install-recommends build-essential cmake python3-dev python3-venv \
    python3-colcon-common-extensions python3-rosdep ros-jazzy-ros-base \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/siampolar
COPY . src/siampolar_ros
# This image has no OpenCV of NVIDIA's. Ubuntu's is left out all the same: pip's lies in the virtual
# environment, where it can cover nothing.
RUN apt-get update \
  && rosdep init && rosdep update --rosdistro jazzy \
  && rosdep install --from-paths src --ignore-src -y --skip-keys "python3-opencv" \
  && rm -rf /var/lib/apt/lists/*
# TensorRT's Python module is the image's; the CPU runtime is there to compare with. Newer OpenCV asks
# for NumPy 2, for which the compiled modules of Jazzy were not built.
RUN python3 -m venv --system-site-packages venv && touch venv/COLCON_IGNORE \
  && source venv/bin/activate \
  && pip install --no-cache-dir "numpy<2" "opencv-python-headless<4.12" \
    "./src/siampolar_ros[tensorrt,cpu,console]" \
  && python3 -c "import cv2, tensorrt; print(cv2.__version__, tensorrt.__version__)"
RUN set +u && source /opt/ros/jazzy/setup.bash && set -u && source venv/bin/activate \
  && python3 -m colcon build --packages-select siampolar_ros \
  && rm -rf build log src
COPY deployment/entrypoint.sh ./
# The GPU's device files belong to video and render.
RUN groupadd --force render && useradd --create-home --groups video,render robot \
  && install -d -o robot -g robot /home/robot/.cache/siampolar
USER robot
# Images do not fit Fast DDS's default shared memory; `ros2 run` does not set this, launch files do.
ENV FASTRTPS_DEFAULT_PROFILES_FILE=/opt/siampolar/install/siampolar_ros/share/siampolar_ros/config/fastdds.xml
# On SIGTERM, Docker's own, ros2 launch would leave its nodes behind.
STOPSIGNAL SIGINT
ENTRYPOINT ["/opt/siampolar/entrypoint.sh"]
CMD ["ros2", "launch", "siampolar_ros", "tracker.launch.py", "image:=/camera/image_raw"]
