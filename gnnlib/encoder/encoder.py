"""The shared graph encoder: one trunk, one small input adapter per domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, cast, get_args

from torch import Tensor, nn

from gnnlib.encoder.adapters import DomainNorm, InputAdapter, domain_key
from gnnlib.encoder.config import PRESETS, EncoderConfig, Mixer, Sharing
from gnnlib.encoder.initialise import seeded_parameters
from gnnlib.encoder.layers import EdgeMixer, FeedForward
from gnnlib.encoder.mixing import Backend
from gnnlib.encoder.reading import read_graph
from gnnlib.encoder.trunk import Trunk
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.graphs.schema import GraphLike, GraphSpec
    from gnnlib.seeding import Seed

__all__ = ["Embedding", "Encoder"]


@dataclass
class Embedding:
    """What the encoder knows of a graph after reading it.

    Attributes
    ----------
    node : Tensor [N, W]
        State of each node.
    edge : Tensor [E, W]
        State of each edge, in the order of the graph's ``edge_index``.
    graph : Tensor [B, W]
        State of each graph of the batch.
    """

    node: Tensor
    edge: Tensor
    graph: Tensor


class Encoder(nn.Module):
    """The graph encoder that all heads share.

    Permutation equivariant, for graphs of any size, linear in the number of edges.

    Parameters
    ----------
    specs : sequence of GraphSpec
        The domains; each gets an input adapter under its name.
    width : int, default 128
        Channels W of node, edge and graph embeddings.
    depth : int, default 6
        Number of blocks: how many edges far a node sees.
    edge_width : int, optional
        Channels D of the edge states inside the trunk, a multiple of 8; default half of `width`.
    mixer : {"gated", "attention"}, default "gated"
        Whether messages are weighted per channel or per head, see `gnnlib.encoder.mixing`.
    sharing : {"hard", "adapters", "routed", "separate"}, default "adapters"
        What domains share of the trunk: all of it; all but norm affines and a few hidden units; all, with feed-forward
        experts mixed by domain and node; nothing.
    full_attention : bool, default False
        Whether every second block is followed by full attention inside graphs of at most 128 nodes, biased by the edge
        states; `width` must be a multiple of 16 then.
    seed : int, default 0
        Seed of the initial parameters.

    Attributes
    ----------
    specs : dict of str to GraphSpec
        The known domains by name.
    config : EncoderConfig
        The other arguments.

    Raises
    ------
    InputError
        If two specs have one name, or an argument is out of range.

    Examples
    --------
    >>> import torch
    >>> from gnnlib.graphs.schema import GraphSpec, GraphTensors
    >>> encoder = Encoder([GraphSpec("toy", node_dim=2, edge_dim=1)], width=16, depth=2)
    >>> graph = GraphTensors(torch.randn(3, 2), torch.tensor([[0, 1], [1, 2]]), torch.randn(2, 1))
    >>> embedding = encoder(graph, "toy")
    >>> embedding.node.shape, embedding.edge.shape, embedding.graph.shape
    (torch.Size([3, 16]), torch.Size([2, 16]), torch.Size([1, 16]))
    """

    def __init__(
        self,
        specs: Sequence[GraphSpec],
        *,
        width: int = 128,
        depth: int = 6,
        edge_width: int | None = None,
        mixer: Mixer = "gated",
        sharing: Sharing = "adapters",
        full_attention: bool = False,
        seed: Seed = 0,
    ) -> None:
        super().__init__()
        self.config = EncoderConfig(width, depth, edge_width, mixer, sharing, full_attention)
        self.specs: dict[str, GraphSpec] = {}
        self.adapters = nn.ModuleDict()
        self.trunks = nn.ModuleDict()
        names = [spec.name for spec in specs]
        if not names or len(set(names)) < len(names):
            raise InputError(f"an encoder needs specs with different names, found {names}")
        with seeded_parameters(seed):
            if sharing != "separate":
                self.trunks[domain_key("")] = Trunk(self.config, names)
            for spec in specs:
                self._add_own_parts(spec)

    @classmethod
    def preset(cls, size: Literal["small", "base"], specs: Sequence[GraphSpec], *, seed: Seed = 0) -> Self:
        """Build one of the two usual sizes: "small" (width 64, depth 4) or "base" (width 128, depth 6).

        Examples
        --------
        >>> from gnnlib.graphs.schema import GraphSpec
        >>> Encoder.preset("small", [GraphSpec("toy", 2, 1)]).config.width
        64
        """
        if size not in PRESETS:
            raise InputError(f"`size` must be one of {', '.join(PRESETS)}, found {size!r}")
        width, depth = PRESETS[size]
        return cls(specs, width=width, depth=depth, seed=seed)

    @property
    def backend(self) -> Backend:
        """How edges are mixed: "auto", "sparse", "dense" or "compiled"; all give the same result.

        "auto" takes the fastest that is possible for device and graph; set another one to compare, or to leave out the
        compiled kernels.
        """
        return self._mixers()[0].backend

    @backend.setter
    def backend(self, value: Backend) -> None:
        if value not in get_args(Backend):
            raise InputError(f"`backend` must be one of {', '.join(get_args(Backend))}, found {value!r}")
        for mixer in self._mixers():
            mixer.backend = value

    def add_spec(self, spec: GraphSpec, *, seed: Seed = 0) -> None:
        """Teach the encoder one more domain: it gets parameters of its own, the shared ones stay as they are.

        Parameters
        ----------
        spec : GraphSpec
            The new domain; its name must be new.
        seed : int, default 0
            Seed of the new parameters.

        Raises
        ------
        InputError
            If there is a spec of that name already.

        Examples
        --------
        >>> from gnnlib.graphs.schema import GraphSpec
        >>> encoder = Encoder([GraphSpec("toy", 2, 1)], width=16, depth=1)
        >>> encoder.add_spec(GraphSpec("other", 3, 0))
        >>> list(encoder.specs)
        ['toy', 'other']
        """
        if spec.name in self.specs:
            raise InputError(f"the encoder has a spec named {spec.name!r} already: {self.specs[spec.name]}")
        backend = self.backend
        with seeded_parameters(seed):
            self._add_own_parts(spec)
            for module in self.trunks.modules() if self.config.sharing != "separate" else ():
                if isinstance(module, (DomainNorm, FeedForward)):
                    module.add_domain(spec.name)
        self.to(self._like())
        self.backend = backend

    def forward(self, graph: GraphLike, spec: str) -> Embedding:
        """Encode `graph` as a graph of the domain `spec`.

        Parameters
        ----------
        graph : GraphLike
            ``x`` [N, node_dim], ``edge_index`` [2, E], and where the spec has them ``edge_attr`` [E, edge_dim],
            ``node_type`` [N], ``edge_type`` [E]; ``batch`` [N] for several graphs.
        spec : str
            Name of the domain.

        Raises
        ------
        InputError
            If the domain is unknown, or the graph does not fit its spec or the model's precision and device.
        """
        if spec not in self.specs:
            raise InputError(f"`spec` must be one of {', '.join(self.specs)}, found {spec!r}")
        read = read_graph(graph, self.specs[spec], self._like())
        node, edge = self.adapters[domain_key(spec)](read)
        trunk = self.trunks[domain_key(spec if self.config.sharing == "separate" else "")]
        node, edge, pooled = trunk(read, node, edge, spec)
        return Embedding(node, edge if read.restore is None else edge.index_select(0, read.restore), pooled)

    def _add_own_parts(self, spec: GraphSpec) -> None:
        self.specs[spec.name] = spec
        key = domain_key(spec.name)
        self.adapters[key] = InputAdapter(spec, self.config.width, self.config.edge_channels)
        if self.config.sharing == "separate":
            self.trunks[key] = Trunk(self.config, [spec.name])

    def _like(self) -> Tensor:
        adapter = cast("InputAdapter", next(iter(self.adapters.values())))
        return adapter.node.weight

    def _mixers(self) -> list[EdgeMixer]:
        return [module for module in self.trunks.modules() if isinstance(module, EdgeMixer)]
