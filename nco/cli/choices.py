"""The words that options take, told twice so that ``--help`` need not import torch."""

from typing import Literal

Decode = Literal["greedy", "sample", "multistart", "beam", "sgbs", "eas", "rrc"]  # of nco.decoding
Rounding = Literal["auto", "none", "nearest", "up", "decimal", "milli"]  # of nco.data.formats
Distribution = Literal["uniform", "cluster", "x", "city"]  # of nco.cli.generators
Precision = Literal["float32", "bfloat16", "auto"]
Recipe = Literal["attention-model"]
Prize = Literal["const", "unif", "dist"]  # of nco.data.generators.orienteering
Paper = Literal["attention-model"]  # of nco.evaluation.papers
OutputFormat = Literal["auto", "sol", "vroom", "csv"]
