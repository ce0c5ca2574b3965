"""Open a recorded scene in any of the formats that the library reads; the format is found from the content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gnnlib.heads.scene.io_table import SceneTable, read_scenes

if TYPE_CHECKING:
    from gnnlib.heads.scene.problem import Scene
    from gnnlib.typing import PathLike

__all__ = ["SceneTable", "read_scene", "read_scenes"]


def read_scene(path: PathLike, *, map_path: PathLike | None = None, name: str | None = None) -> Scene:
    """Read one scene."""
    table = read_scenes(path, map_path)
    return table[0 if name is None else name]
