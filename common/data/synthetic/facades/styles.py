"""Architectural styles of the embedded facades: probabilities of their parts, and colours."""

from dataclasses import dataclass

from common.data.synthetic.facades.parts import Colour


@dataclass(frozen=True)
class Style:
    """An architectural style: (low, high) ranges, choices, probabilities and colours."""

    wall: str
    base: str  # material of the ground floor
    walls: tuple[Colour, ...]
    trims: tuple[Colour, ...]
    frames: tuple[Colour, ...]
    accents: tuple[Colour, ...]  # doors, shutters, awnings, signs
    roof: Colour = (0.34, 0.37, 0.42)
    tiles: str = "slate"
    storeys: tuple[int, int] = (3, 5)
    bays: tuple[int, int] = (3, 6)
    span: tuple[float, float] = (0.42, 0.60)  # width of a window, as a fraction of its bay
    tall: tuple[float, float] = (0.50, 0.66)  # height of a window, as a fraction of its storey
    openings: tuple[str, ...] = ("box",)
    panes: tuple[tuple[int, int], ...] = ((2, 3),)
    crowns: tuple[str, ...] = ("flat",)
    railing: str = "railing"
    sill: float = 0.8
    surround: float = 0.3
    pediment: float = 0.0
    shutters: float = 0.0
    balcony: float = 0.15
    band: float = 0.4
    pilasters: float = 0.0
    shop: float = 0.3
    panels: float = 0.0
    beams: bool = False


WHITE, CREAM, SAND = (0.90, 0.89, 0.86), (0.88, 0.82, 0.68), (0.78, 0.69, 0.53)
DARK, OAK = (0.17, 0.18, 0.20), (0.36, 0.23, 0.14)
GREEN, WINE, NAVY, TEAL = (
    (0.16, 0.33, 0.23),
    (0.45, 0.13, 0.14),
    (0.15, 0.22, 0.38),
    (0.2, 0.42, 0.44),
)

STYLES = {
    "tenement": Style(
        "brick", "brick", ((0.60, 0.29, 0.22), (0.50, 0.25, 0.20), (0.66, 0.43, 0.29)),
        (SAND, CREAM, (0.66, 0.62, 0.55)), (WHITE, GREEN), (GREEN, WINE, NAVY),
        storeys=(4, 6), bays=(4, 6), openings=("box", "segment"), panes=((1, 2), (2, 2)),
        crowns=("flat",), surround=0.25, band=0.5, shop=0.55, balcony=0.12,
    ),
    "haussmann": Style(
        "ashlar", "ashlar", ((0.83, 0.77, 0.65), (0.80, 0.73, 0.60), (0.85, 0.81, 0.73)),
        ((0.88, 0.83, 0.73), (0.82, 0.77, 0.67)), (WHITE, (0.75, 0.75, 0.72)), (NAVY, GREEN, WINE),
        storeys=(5, 6), bays=(4, 6), span=(0.40, 0.52), tall=(0.66, 0.78), panes=((2, 4), (2, 3)),
        crowns=("mansard",), sill=0.3, surround=0.8, pediment=0.4, shutters=0.25, balcony=0.55,
        band=0.8, pilasters=0.15, shop=0.6,
    ),
    "timbered": Style(
        "plaster", "ashlar", ((0.91, 0.88, 0.79), (0.88, 0.78, 0.55), (0.86, 0.66, 0.52)),
        (OAK, (0.25, 0.18, 0.14), (0.48, 0.20, 0.15)), (WHITE, OAK), (GREEN, WINE, OAK),
        roof=(0.58, 0.30, 0.21), tiles="tiles", storeys=(3, 4), bays=(3, 5), tall=(0.42, 0.54),
        panes=((2, 3), (3, 4)), crowns=("gable", "gable", "hip"), sill=0.5, surround=0.0,
        shutters=0.35, balcony=0.0, band=0.0, shop=0.3, beams=True,
    ),
    "modern": Style(
        "concrete", "concrete", ((0.72, 0.72, 0.71), (0.86, 0.86, 0.85), (0.47, 0.45, 0.44)),
        ((0.62, 0.63, 0.64), (0.80, 0.80, 0.80)), (DARK, (0.55, 0.57, 0.59)),
        ((0.85, 0.45, 0.15), (0.25, 0.48, 0.62), (0.62, 0.66, 0.28)), storeys=(4, 8), bays=(3, 6),
        span=(0.66, 0.9), tall=(0.52, 0.74), panes=((2, 1), (3, 1), (1, 1)), railing="pane",
        sill=0.15, surround=0.0, balcony=0.45, band=0.35, shop=0.45, panels=0.55,
    ),
    "classicist": Style(
        "plaster", "ashlar", ((0.90, 0.80, 0.52), (0.72, 0.78, 0.82), (0.87, 0.72, 0.66)),
        (WHITE, CREAM), (WHITE,), (OAK, GREEN, DARK), storeys=(2, 4), bays=(5, 7),
        span=(0.42, 0.54), tall=(0.52, 0.66), openings=("box", "box", "arch"),
        panes=((2, 4), (2, 3)),
        crowns=("pediment", "flat", "hip"), railing="balustrade", surround=0.7, pediment=0.7,
        balcony=0.3, band=0.8, pilasters=0.85, shop=0.05,
    ),
    "canal": Style(
        "brick", "brick", ((0.42, 0.22, 0.18), (0.30, 0.22, 0.21), (0.55, 0.30, 0.23)),
        (WHITE, CREAM),
        (WHITE,), (GREEN, NAVY, DARK), roof=(0.50, 0.27, 0.20), storeys=(3, 5), bays=(2, 4),
        span=(0.56, 0.70), tall=(0.62, 0.74), openings=("box", "segment"), panes=((3, 4), (2, 4)),
        crowns=("steps", "bell", "bell"), surround=0.25, shutters=0.2, balcony=0.0, band=0.4,
        shop=0.2,
    ),
    "riviera": Style(
        "plaster", "plaster",
        ((0.90, 0.62, 0.38), (0.87, 0.50, 0.40), (0.93, 0.80, 0.50), (0.86, 0.70, 0.66)),
        (WHITE, CREAM), (WHITE, OAK), (TEAL, GREEN, (0.30, 0.50, 0.66)), roof=(0.68, 0.38, 0.26),
        tiles="tiles", storeys=(3, 5), bays=(3, 5), span=(0.30, 0.40), tall=(0.54, 0.66),
        openings=("box", "box", "arch"), panes=((2, 3), (2, 2)), crowns=("hip", "flat"),
        surround=0.5,
        shutters=0.95, balcony=0.35, band=0.3, shop=0.5,
    ),
    "loft": Style(
        "brick", "ashlar", ((0.62, 0.36, 0.25), (0.70, 0.60, 0.46), (0.46, 0.30, 0.26)),
        ((0.58, 0.54, 0.49), SAND), (DARK, (0.22, 0.30, 0.28)), (WINE, DARK, TEAL), storeys=(3, 5),
        bays=(3, 5), span=(0.62, 0.76), tall=(0.62, 0.74), openings=("segment", "arch", "box"),
        panes=((4, 5), (3, 4), (5, 6)), sill=0.9, surround=0.1, balcony=0.0, band=0.6,
        pilasters=0.6, shop=0.35,
    ),
}  # fmt: skip
