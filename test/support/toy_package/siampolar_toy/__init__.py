"""Extends siampolar_ros without a change to it."""
