"""Translation between ROS messages and the types of siampolar_model."""
