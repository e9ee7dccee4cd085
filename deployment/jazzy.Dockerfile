# The tracker on ROS 2 Jazzy, x86-64, CPU only. Build it in the repository's folder:
#   docker build -f deployment/jazzy.Dockerfile -t siampolar_ros:jazzy .
# Not built by this project's CI: it has no access to the base images.
ARG ROS_DISTRO=jazzy

FROM ros:${ROS_DISTRO}-ros-base AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /opt/siampolar
COPY . src/siampolar_ros
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3-venv \
  && rosdep update --rosdistro "$ROS_DISTRO" \
  && rosdep install --from-paths src --ignore-src -y \
  && rm -rf /var/lib/apt/lists/*
# Next to the system's NumPy and OpenCV, as in the README.
RUN python3 -m venv --system-site-packages venv && touch venv/COLCON_IGNORE \
  && source venv/bin/activate \
  && pip install --no-cache-dir "numpy<2" "./src/siampolar_ros[cpu,openvino,console]"
RUN set +u && source "/opt/ros/$ROS_DISTRO/setup.bash" && set -u && source venv/bin/activate \
  && python3 -m colcon build --packages-select siampolar_ros \
  && rm -rf build log

FROM ros:${ROS_DISTRO}-ros-core
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
COPY package.xml /tmp/src/siampolar_ros/package.xml
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3-rosdep \
  && rosdep init && rosdep update --rosdistro "$ROS_DISTRO" \
  && rosdep install --from-paths /tmp/src --ignore-src -y -t exec \
  && rm -rf /var/lib/apt/lists/* /tmp/src
COPY --from=build /opt/siampolar/venv /opt/siampolar/venv
COPY --from=build /opt/siampolar/install /opt/siampolar/install
COPY deployment/entrypoint.sh /opt/siampolar/
RUN useradd --create-home --groups video robot
USER robot
# Images do not fit Fast DDS's default shared memory; `ros2 run` does not set this, launch files do.
ENV FASTRTPS_DEFAULT_PROFILES_FILE=/opt/siampolar/install/siampolar_ros/share/siampolar_ros/config/fastdds.xml
# On SIGTERM, Docker's own, ros2 launch would leave its nodes behind.
STOPSIGNAL SIGINT
ENTRYPOINT ["/opt/siampolar/entrypoint.sh"]
CMD ["ros2", "launch", "siampolar_ros", "tracker.launch.py", "image:=/camera/image_raw"]
