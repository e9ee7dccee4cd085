"""Siamese polar mask tracking without ROS: geometry, tracker, engines, evaluation."""

from __future__ import annotations
