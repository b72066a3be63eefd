"""The encoder of the Pointer Network: an LSTM that reads the nodes one after another."""

from torch import Tensor

from nco.envs import Features, FeatureSpec
from nco.policies.encoder import Encoder, NodeEmbedding
from nco.policies.lstm import LSTM


class LSTMEncoder(Encoder):
    """
    An LSTM over the nodes (Vinyals et al. 2015, section 2.3; Bello et al. 2016, section 4.1).

    Parameters
    ----------
    spec
        Sizes of the environment's features.
    dim
        Channels of the input embedding, the hidden state and the node embeddings.
    residual
        Adds the input embedding of a node to its output; the papers do not.
    """

    def __init__(self, spec: FeatureSpec, dim: int = 128, residual: bool = True):
        super().__init__()
        self.dim = dim
        self.residual = residual
        self.embedding = NodeEmbedding(spec, dim)
        self.lstm = LSTM(dim, dim, batch_first=True)

    def forward(self, features: Features) -> Tensor:
        return self.read(features)[1]

    def read(self, features: Features) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """
        What a decoder needs beside the node embeddings.

        Returns
        -------
        tuple
            Input embeddings ``[B, N, D]``, node embeddings ``[B, N, D]``, and the state of the
            LSTM after the last node: hidden and cell, ``[B, D]`` each.
        """
        inputs = self.embedding(features)
        outputs, (hidden, cell) = self.lstm(inputs)
        nodes = inputs + outputs if self.residual else outputs
        return inputs, nodes, (hidden[0], cell[0])
