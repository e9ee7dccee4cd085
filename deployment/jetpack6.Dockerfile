# The tracker on a Jetson: JetPack 6.1 and 6.2 (L4T 36.4: Ubuntu 22.04, CUDA 12.6, TensorRT 10.3),
# ROS 2 Humble. Build it on the Jetson, in the repository's folder:
#   docker build -f deployment/jetpack6.Dockerfile -t siampolar_ros:jetpack6 .
# Not built by this project's CI and never run: it has neither an ARM machine nor a Jetson.
ARG L4T=r36.4.0
FROM nvcr.io/nvidia/l4t-jetpack:${L4T}
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV ROS_DISTRO=humble DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8

# ROS 2 as on any Ubuntu: https://docs.ros.org/en/humble/Installation/Ubuntu-Install-Debs.html
ADD https://raw.githubusercontent.com/ros/rosdistro/master/ros.key \
  /usr/share/keyrings/ros-archive-keyring.gpg
RUN chmod 644 /usr/share/keyrings/ros-archive-keyring.gpg \
  && echo "deb [signed-by=/usr/share/keyrings/ros-archive-keyring.gpg]" \
    "http://packages.ros.org/ros2/ubuntu jammy main" > /etc/apt/sources.list.d/ros2.list \
  && apt-get update \
  && apt-get install -y --no-install-recommends build-essential cmake python3-dev python3-venv \
    python3-colcon-common-extensions python3-rosdep ros-humble-ros-base \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/siampolar
COPY . src/siampolar_ros
# Without Ubuntu's OpenCV: its files would lie over those of NVIDIA's OpenCV, which apt does
# not know by the same name. The check fails if NVIDIA's is not there.
RUN apt-get update \
  && rosdep init && rosdep update --rosdistro humble \
  && rosdep install --from-paths src --ignore-src -y --skip-keys "python3-opencv" \
  && rm -rf /var/lib/apt/lists/* \
  && python3 -c "import cv2; print(cv2.__version__, cv2.__file__)"
# TensorRT's Python module is the system's; the CPU runtime is there to compare with.
RUN python3 -m venv --system-site-packages venv && touch venv/COLCON_IGNORE \
  && source venv/bin/activate \
  && pip install --no-cache-dir "numpy<2" "cuda-python<13" "./src/siampolar_ros[tensorrt,cpu,console]"
RUN set +u && source /opt/ros/humble/setup.bash && set -u && source venv/bin/activate \
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
