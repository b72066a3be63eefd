"""Instances in and out: the instance schema, metrics, generators, file formats and datasets."""

from nco.data.instance import Field, make_instance, validate

__all__ = ["Field", "make_instance", "validate"]
