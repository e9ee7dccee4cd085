#!/bin/bash
# Runs a command with ROS 2, the workspace and the virtual environment, which the nodes name
# themselves but `siampolar` and `ros2` do not.
set -e
# With `docker run --user` of another id there is no home; logs and caches need a place.
[ -w "$HOME" ] || export HOME=/tmp
source "/opt/ros/$ROS_DISTRO/setup.bash"
source /opt/siampolar/venv/bin/activate
source /opt/siampolar/install/setup.bash
exec "$@"
