"""The operator console: a page, served by the robot, that shows cameras and starts targets."""
