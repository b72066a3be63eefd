"""Instances in and out: the instance schema, metrics, generators, file formats and datasets."""

from nco.data.arrays import make_instance
from nco.data.instance import Field, validate

__all__ = ["Field", "make_instance", "validate"]
