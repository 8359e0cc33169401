"""Triangle meshes: surfaces of revolution, rounded boxes, and tubes along a path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """Triangles with texture coordinates. Faces wind counter-clockwise seen from outside."""

    vertices: np.ndarray  # float [V, 3], metres
    faces: np.ndarray  # int [F, 3], into vertices
    uv: np.ndarray  # float [U, 2]
    uv_faces: np.ndarray  # int [F, 3], into uv


def _sewn(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray) -> Mesh:
    """Merge vertices at the same position, so that shading is smooth across the seam of the texture."""
    _, first, number = np.unique(np.round(vertices, 6), axis=0, return_index=True, return_inverse=True)
    sewn = number.reshape(-1)[faces]
    solid = (sewn[:, 0] != sewn[:, 1]) & (sewn[:, 1] != sewn[:, 2]) & (sewn[:, 2] != sewn[:, 0])
    return Mesh(vertices[first], sewn[solid], uv, faces[solid])


def _grid_faces(rows: int, columns: int) -> np.ndarray:
    """Two triangles for every cell of a grid of points numbered row by row."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    lower = corner + np.array([0, 1, columns])
    upper = corner + np.array([1, columns + 1, columns])
    return np.concatenate([lower, upper])


def lathe(profile: np.ndarray, segments: int = 28) -> Mesh:
    """Revolve a profile, (radius, height) from bottom to top, around the z axis. It may go down again inside.

    The texture goes once around (u) and along the profile (v).
    """
    profile = np.asarray(profile, float)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    ring[-1] = ring[0]
    points = np.concatenate(
        [profile[:, None, :1] * ring, np.broadcast_to(profile[:, None, 1:], (len(profile), segments + 1, 1))], axis=2
    )
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    v = np.broadcast_to(way[:, None] / way[-1], points.shape[:2])
    u = np.broadcast_to(angle / (2 * np.pi), points.shape[:2])
    uv = np.stack([u, 1 - v], 2).reshape(-1, 2)
    return _sewn(points.reshape(-1, 3), _grid_faces(*points.shape[:2]), uv)


def ball(radius: float, segments: int = 28) -> Mesh:
    """A sphere with a texture like a map of the world."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    radii = radius * np.cos(angle)
    radii[[0, -1]] = 0
    return lathe(np.stack([radii, radius * np.sin(angle)], 1), segments)


def rounded_box(half: tuple[float, float, float], radius: float, whole: bool = False, steps: int = 3) -> Mesh:
    """A box with rounded edges.

    Args:
        half: half its edges, metres.
        radius: of the edges.
        whole: every face shows the whole texture; else each its own part of it, 3 x 2 of them.
    """
    size = np.asarray(half, float)
    radius = float(min(radius, 0.98 * size.min()))
    bend = np.tan(np.linspace(0, np.pi / 4, steps + 1))  # from the middle of the edge to the flat face
    vertices, faces, uv = [], [], []
    for face in range(6):
        axis, sign = face % 3, 1 if face < 3 else -1
        a, b = ((axis + 1) % 3, (axis + 2) % 3)[::sign]
        lines = []
        for side in (a, b):
            flat = size[side] - radius
            outer = flat + radius * bend
            lines.append(np.concatenate([-outer[::-1], outer]))
        points = np.zeros((len(lines[1]), len(lines[0]), 3))
        points[..., a], points[..., b], points[..., axis] = lines[0], lines[1][:, None], sign * size[axis]
        core = np.clip(points, -(size - radius), size - radius)
        out = points - core
        points = core + radius * out / np.maximum(np.linalg.norm(out, axis=2, keepdims=True), 1e-12)
        flat_uv = np.stack(
            np.broadcast_arrays(lines[0] / (2 * size[a]) + 0.5, 0.5 - lines[1][:, None] / (2 * size[b])), 2
        )
        if not whole:
            flat_uv = (flat_uv * 0.98 + 0.01 + np.array([face % 3, face // 3])) / np.array([3, 2])
        faces.append(_grid_faces(*points.shape[:2]) + sum(len(v) for v in vertices))
        vertices.append(points.reshape(-1, 3))
        uv.append(flat_uv.reshape(-1, 2))
    return _sewn(np.concatenate(vertices), np.concatenate(faces), np.concatenate(uv))


def tube(path: np.ndarray, radii: np.ndarray | float, segments: int = 14) -> Mesh:
    """Sweep a circle along a path of points [K, 3]; its ends are closed.

    Args:
        path: metres.
        radii: of the circle, for every point or for all.
    """
    path = np.asarray(path, float)
    radii = np.broadcast_to(np.asarray(radii, float), len(path))
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along[0], np.eye(3)[int(np.abs(along[0]).argmin())])
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    rings = []
    for point, direction, radius in zip(path, along, radii, strict=True):
        across = across - direction * (across @ direction)  # rotates as little as the path allows
        across /= np.linalg.norm(across)
        other = np.cross(direction, across)
        ring = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * other
        ring[-1] = ring[0]
        rings.append(point + radius * ring)
    ends = [np.broadcast_to(path[i], (segments + 1, 3)) for i in (0, -1)]
    points = np.stack([ends[0], *rings, ends[1]])
    v = np.linspace(0, 1, len(points))[:, None]
    uv = np.stack(np.broadcast_arrays(angle / (2 * np.pi), v), 2).reshape(-1, 2)
    return _sewn(points.reshape(-1, 3), _grid_faces(*points.shape[:2]), uv)
