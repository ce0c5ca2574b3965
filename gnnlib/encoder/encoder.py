"""The shared graph encoder: one trunk, one small input adapter per domain."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, cast, get_args

import torch
from torch import Tensor, nn

from gnnlib.encoder.adapters import DomainNorm, InputAdapter, domain_key
from gnnlib.encoder.initialise import seeded_parameters
from gnnlib.encoder.layers import Block, Mixer, Sharing
from gnnlib.encoder.mixing import HEAD_WIDTH
from gnnlib.encoder.reading import GraphTensorsIn, read_graph
from gnnlib.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gnnlib.encoder.topology import Topology
    from gnnlib.graphs.schema import GraphLike, GraphSpec
    from gnnlib.seeding import Seed

__all__ = ["Embedding", "Encoder", "EncoderConfig"]

PRESETS = {"small": (64, 4), "base": (128, 6)}


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


@dataclass(frozen=True)
class EncoderConfig:
    """Everything but the specs that is needed to rebuild an `Encoder`; the fields are its keyword arguments."""

    width: int = 128
    depth: int = 6
    edge_width: int | None = None
    mixer: Mixer = "gated"
    sharing: Sharing = "adapters"

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"`{name}` of the encoder must be a positive integer, found {value!r}")
        if self.edge_channels < 1 or self.edge_channels % HEAD_WIDTH:
            raise InputError(f"the edge width must be a multiple of {HEAD_WIDTH}, found {self.edge_channels}")
        for name, known in (("mixer", get_args(Mixer)), ("sharing", get_args(Sharing))):
            if getattr(self, name) not in known:
                raise InputError(f"`{name}` must be one of {', '.join(known)}, found {getattr(self, name)!r}")

    @property
    def edge_channels(self) -> int:
        """Width D of the edge states inside the trunk; half the node width unless given."""
        return self.width // 2 if self.edge_width is None else self.edge_width

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


class Trunk(nn.Module):
    """A stack of blocks with its final norms."""

    def __init__(self, config: EncoderConfig, domains: Sequence[str]) -> None:
        super().__init__()
        width, edge_width = config.width, config.edge_channels
        self.blocks = nn.ModuleList(
            Block(width, edge_width, mixer=config.mixer, sharing=config.sharing, domains=domains)
            for _ in range(config.depth)
        )
        affines = domains if config.sharing == "adapters" else ()
        self.norm_node = DomainNorm(width, affines)
        self.norm_edge = DomainNorm(edge_width, affines)
        self.edge_out = nn.Linear(edge_width, width)
        self.graph_out = nn.Linear(2 * width + 1, width)

    def forward(self, node: Tensor, edge: Tensor, topology: Topology, domain: str) -> tuple[Tensor, Tensor]:
        """Return final node states [N, W] and edge states [E, W]."""
        for block in self.blocks:
            node, edge = block(node, edge, topology, domain)
        return self.norm_node(node, domain), self.edge_out(self.norm_edge(edge, domain))

    def pool(self, node: Tensor, batch: Tensor | None, num_graphs: int) -> Tensor:
        """Summarise the nodes of each graph: mean, largest value per channel, logarithm of their number."""
        if batch is None:
            batch = torch.zeros(node.shape[0], dtype=torch.int64, device=node.device)
        width = node.shape[1]
        count = torch.bincount(batch, minlength=num_graphs).to(node.dtype).unsqueeze(-1)
        mean = node.new_zeros(num_graphs, width).index_add(0, batch, node) / count.clamp(min=1)
        index = batch.unsqueeze(-1).expand_as(node)
        largest = node.new_zeros(num_graphs, width).scatter_reduce(0, index, node, "amax", include_self=False)
        pooled: Tensor = self.graph_out(torch.cat([mean, largest, count.log1p()], dim=-1))
        return pooled


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
        How messages are weighted, see `gnnlib.encoder.layers`.
    sharing : {"hard", "adapters", "routed", "separate"}, default "adapters"
        What domains share of the trunk: all of it; all but norm affines and low-rank adapters; feed-forward experts
        chosen by domain and node; nothing.
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
        seed: Seed = 0,
    ) -> None:
        super().__init__()
        self.config = EncoderConfig(width, depth, edge_width, mixer, sharing)
        self.specs = {spec.name: spec for spec in specs}
        if not self.specs or len(self.specs) < len(specs):
            raise InputError(f"an encoder needs specs with different names, found {[spec.name for spec in specs]}")
        names = list(self.specs)
        with seeded_parameters(seed):
            self.adapters = nn.ModuleDict(
                {domain_key(s.name): InputAdapter(s, width, self.config.edge_channels) for s in specs}
            )
            groups = [[name] for name in names] if sharing == "separate" else [names]
            self.trunks = nn.ModuleDict(
                {domain_key(group[0] if sharing == "separate" else ""): Trunk(self.config, group) for group in groups}
            )

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
            If the domain is unknown or the graph does not fit its spec.
        """
        if spec not in self.specs:
            raise InputError(f"`spec` must be one of {', '.join(self.specs)}, found {spec!r}")
        inputs = read_graph(graph, self.specs[spec])
        node, edge = self._adapt(inputs, spec)
        trunk = self._trunk(spec)
        node, edge = trunk(node, edge, inputs.topology, spec)
        if inputs.restore is not None:
            edge = edge.index_select(0, inputs.restore)
        return Embedding(node, edge, trunk.pool(node, inputs.batch, inputs.num_graphs))

    def _trunk(self, spec: str) -> Trunk:
        trunk = self.trunks[domain_key(spec if self.config.sharing == "separate" else "")]
        return cast("Trunk", trunk)

    def _adapt(self, inputs: GraphTensorsIn, spec: str) -> tuple[Tensor, Tensor]:
        adapter = self.adapters[domain_key(spec)]
        node, edge = adapter(inputs.x, inputs.topology.degree, inputs.edge_attr, inputs.node_type, inputs.edge_type)
        return node, edge
