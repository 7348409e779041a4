"""Where data is processed, as a picture: a dot for each country, in an equirectangular projection on a graticule.

There are no outlines: the countries where nothing is processed are faint dots, which is enough to see where one is.
The numbers stand in a table beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import cos, radians, sqrt
from types import MappingProxyType

from notifier.rules.entries import Entry

WIDTH, LOWEST, HIGHEST = 720.0, 240.0, 360.0  # of the picture, in its own units
MARGIN = 6.0  # degrees kept free around the outermost dots
NARROWEST = 24.0  # degrees of latitude that are shown at least
NORTH, SOUTH, WORLD = 90.0, -90.0, 360.0
STEPS, LINES = (5, 10, 30), 4  # degrees from one line to the next, and parallels at most
SMALLEST, USUAL, LARGEST = 3.5, 5.0, 15.0  # radii: of any dot at least, of one subprocessor, of any at most
LETTER, LINE = 7.6, 16.0  # a letter's usual width and height: what is drawn is not measured


@dataclass(frozen=True, slots=True)
class Dot:
    """One country: where it lies in the picture, its radius, and where its name stands, if there is room for it."""

    code: str
    number: int
    x: float
    y: float
    radius: float
    label: str = ""
    label_x: float = 0.0
    label_y: float = 0.0
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Map:
    """What is drawn, in units of the picture; `meridians` are abscissae and `parallels` ordinates."""

    dots: tuple[Dot, ...]
    others: tuple[tuple[float, float], ...]
    meridians: tuple[float, ...]
    parallels: tuple[float, ...]
    height: float
    width: float = WIDTH


def count(entries: Iterable[Entry]) -> dict[str, int]:
    """Return country → how many subprocessors process data there; one in two countries counts in both."""
    return dict(Counter(country for entry in entries for country in entry.countries))


def draw(numbers: Mapping[str, int], names: Mapping[str, str]) -> Map | None:
    """Return the map of some countries, by their codes; nothing where the place of none is known."""
    known = {code: CENTRES[code] for code in numbers if code in CENTRES}
    if not known:
        return None
    frame = _Frame.around(known.values())
    most = max(numbers[code] for code in known)
    dots = [
        Dot(code, numbers[code], *frame.place(*CENTRES[code]), _radius(numbers[code], most))
        for code in sorted(known, key=lambda code: (-numbers[code], code))
    ]
    others = (frame.place(*centre) for code, centre in CENTRES.items() if code not in known)
    return Map(
        dots=_labelled(dots, names, frame.height),
        others=tuple(point for point in others if frame.holds(*point)),
        meridians=frame.meridians(),
        parallels=frame.parallels(),
        height=frame.height,
    )


def _radius(number: int, most: int) -> float:
    """The area grows with the number."""
    shrunk = min(1.0, LARGEST / (USUAL * sqrt(most)))
    return round(max(SMALLEST, USUAL * sqrt(number) * shrunk), 1)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The part of the world that is shown.  Degrees of longitude are as long as they are in its middle."""

    west: float
    north: float
    scale: float  # units for each degree of latitude
    squeeze: float
    height: float

    @classmethod
    def around(cls, centres: Iterable[tuple[float, float]]) -> _Frame:
        """Frame these points (latitude, longitude) with a margin, and never leave the world."""
        points = list(centres)
        south, north = min(lat for lat, _ in points) - MARGIN, max(lat for lat, _ in points) + MARGIN
        west, east = min(lon for _, lon in points) - MARGIN, max(lon for _, lon in points) + MARGIN
        squeeze = max(cos(radians((south + north) / 2)), 0.5)
        broad = min(east - west, WORLD) * squeeze
        height = round(min(max(WIDTH * (north - south) / broad, LOWEST), HIGHEST))
        tall = max(north - south, broad * height / WIDTH, NARROWEST)
        tall = min(tall, NORTH - SOUTH)
        wide = tall * WIDTH / height / squeeze
        top = min(max((south + north + tall) / 2, SOUTH + tall), NORTH)
        left = (west + east - wide) / 2
        if wide <= WORLD:
            left = min(max(left, -WORLD / 2), WORLD / 2 - wide)
        return cls(left, top, height / tall, squeeze, height)

    def place(self, latitude: float, longitude: float) -> tuple[float, float]:
        x = (longitude - self.west) * self.squeeze * self.scale
        return round(x, 1), round((self.north - latitude) * self.scale, 1)

    def holds(self, x: float, y: float) -> bool:
        return 0 <= x <= WIDTH and 0 <= y <= self.height

    def meridians(self) -> tuple[float, ...]:
        step = self._step()
        lines = (self.place(0, longitude)[0] for longitude in range(-180, 181, step))
        return tuple(x for x in lines if 0 < x < WIDTH)

    def parallels(self) -> tuple[float, ...]:
        step = self._step()
        lines = (self.place(latitude, 0)[1] for latitude in range(-90, 91, step))
        return tuple(y for y in lines if 0 < y < self.height)

    def _step(self) -> int:
        tall = self.height / self.scale
        return next((step for step in STEPS if tall / step < LINES), STEPS[-1])


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def is_inside(self, height: float) -> bool:
        return self.left >= 0 and self.top >= 0 and self.right <= WIDTH and self.bottom <= height


def _labelled(dots: list[Dot], names: Mapping[str, str], height: float) -> tuple[Dot, ...]:
    """Write each name beside its dot, the most important first; where no place around it is free, the table names
    it.
    """
    taken = {
        dot.code: _Box(dot.x - dot.radius, dot.y - dot.radius, dot.x + dot.radius, dot.y + dot.radius) for dot in dots
    }
    done = []
    for dot in dots:
        label = f"{names.get(dot.code, dot.code)} ({dot.number})"
        for x, y, anchor, box in _beside(dot, LETTER * len(label)):
            if box.is_inside(height) and not any(box.meets(other) for code, other in taken.items() if code != dot.code):
                taken[f"name of {dot.code}"] = box
                dot = Dot(dot.code, dot.number, dot.x, dot.y, dot.radius, label, round(x, 1), round(y, 1), anchor)  # noqa: PLW2901 - with its label
                break
        done.append(dot)
    return tuple(done)


def _beside(dot: Dot, long: float) -> Iterable[tuple[float, float, str, _Box]]:
    """Where a name may stand: to the right, to the left, then above and below."""
    gap = dot.radius + 4
    yield _written(dot.x + gap, dot.y + LINE / 3, "start", long)
    yield _written(dot.x - gap, dot.y + LINE / 3, "end", long)
    for y in (dot.y - gap, dot.y + gap + LINE * 0.7):
        for anchor in ("middle", "start", "end"):
            yield _written(dot.x, y, anchor, long)


def _written(x: float, y: float, anchor: str, long: float) -> tuple[float, float, str, _Box]:
    left = x - {"start": 0.0, "middle": long / 2, "end": long}[anchor]
    return x, y, anchor, _Box(left, y - LINE * 0.75, left + long, y + LINE * 0.25)


# Latitude and longitude of the middle of each country of ISO 3166-1, in degrees, roughly; and of Kosovo.
_TABLE = """
AD 42.5 1.6, AE 24 54, AF 33 65, AG 17.1 -61.8, AI 18.2 -63.1, AL 41 20, AM 40 45, AO -12.5 18.5, AQ -80 0,
AR -34 -64, AS -14.3 -170.7, AT 47.6 14.1, AU -25 134, AW 12.5 -70, AX 60.2 20, AZ 40.5 47.5, BA 44.2 17.8,
BB 13.2 -59.5, BD 24 90, BE 50.6 4.6, BF 13 -1.5, BG 42.7 25.5, BH 26 50.6, BI -3.4 29.9, BJ 9.5 2.3, BL 17.9 -62.8,
BM 32.3 -64.8, BN 4.5 114.7, BO -17 -65, BQ 12.2 -68.3, BR -10 -53, BS 24.2 -76, BT 27.5 90.5, BV -54.4 3.4,
BW -22 24, BY 53.5 28, BZ 17.2 -88.7, CA 58 -100, CC -12.2 96.8, CD -3 23.5, CF 6.6 20.9, CG -1 15.5, CH 46.8 8.2,
CI 7.6 -5.5, CK -21.2 -159.8, CL -33 -71, CM 5.7 12.7, CN 35 104, CO 4 -73, CR 10 -84, CU 21.5 -79.5, CV 16 -24,
CW 12.2 -69, CX -10.5 105.7, CY 35 33, CZ 49.8 15.5, DE 51.2 10.4, DJ 11.8 42.6, DK 56 9.5, DM 15.4 -61.4,
DO 19 -70.6, DZ 28 3, EC -1.5 -78.5, EE 58.7 25.5, EG 27 30, EH 24.5 -13, ER 15.4 39, ES 40.2 -3.6, ET 8.6 39.6,
FI 63 26, FJ -17.8 178, FK -51.8 -59.2, FM 6.9 158.2, FO 62 -6.9, FR 46.6 2.5, GA -0.8 11.7, GB 53 -1.6,
GD 12.1 -61.7, GE 42 43.5, GF 4 -53, GG 49.5 -2.6, GH 8 -1.2, GI 36.1 -5.4, GL 72 -40, GM 13.4 -15.5, GN 10.5 -10.9,
GP 16.2 -61.5, GQ 1.7 10.5, GR 39 22, GS -54.4 -36.7, GT 15.6 -90.3, GU 13.4 144.8, GW 12 -15, GY 4.9 -59,
HK 22.3 114.2, HM -53.1 73.5, HN 14.8 -86.6, HR 45.3 16, HT 19 -72.6, HU 47.2 19.4, ID -2.5 118, IE 53.2 -8,
IL 31.4 35, IM 54.2 -4.5, IN 22 79, IO -6.3 71.9, IQ 33 44, IR 32.5 54, IS 65 -18.5, IT 42.8 12.5, JE 49.2 -2.1,
JM 18.1 -77.3, JO 31.2 36.5, JP 36.5 138.5, KE 0.5 38, KG 41.5 74.6, KH 12.7 105, KI 1.4 173, KM -12 43.9,
KN 17.3 -62.7, KP 40 127, KR 36.4 127.9, KW 29.4 47.6, KY 19.3 -81.2, KZ 48 67, LA 18.5 103.8, LB 33.9 35.9,
LC 13.9 -61, LI 47.2 9.6, LK 7.7 80.7, LR 6.5 -9.4, LS -29.6 28.2, LT 55.3 23.9, LU 49.8 6.1, LV 56.9 25, LY 27 17.5,
MA 31.8 -7, MC 43.7 7.4, MD 47.2 28.5, ME 42.8 19.2, MF 18.1 -63.1, MG -19.4 46.7, MH 7.1 171.2, MK 41.6 21.7,
ML 17 -4, MM 21 96, MN 46.8 103, MO 22.2 113.6, MP 15.2 145.8, MQ 14.7 -61, MR 20 -10.5, MS 16.7 -62.2, MT 35.9 14.4,
MU -20.3 57.6, MV 3.2 73.2, MW -13.3 34.2, MX 23.5 -102, MY 4 109.5, MZ -17.5 35.5, NA -22 17, NC -21.3 165.5,
NE 17.5 9, NF -29 168, NG 9.6 8.1, NI 12.9 -85, NL 52.3 5.6, NO 61.5 9, NP 28.2 84, NR -0.5 166.9, NU -19.1 -169.9,
NZ -41.5 173, OM 21 56.5, PA 8.5 -80, PE -9.5 -75, PF -17.6 -149.5, PG -6.5 145, PH 12 122, PK 30 69.5, PL 52 19.3,
PM 46.9 -56.3, PN -25.1 -130.1, PR 18.2 -66.5, PS 32 35.3, PT 39.6 -8, PW 7.5 134.6, PY -23.3 -58, QA 25.3 51.2,
RE -21.1 55.5, RO 45.9 25, RS 44.1 20.8, RU 60 90, RW -2 29.9, SA 24 45, SB -9 160, SC -4.6 55.5, SD 15.5 30,
SE 61 15, SG 1.4 103.8, SH -15.9 -5.7, SI 46.1 14.8, SJ 78.5 17, SK 48.7 19.5, SL 8.5 -11.8, SM 43.9 12.5,
SN 14.4 -14.5, SO 5 46, SR 4 -56, SS 7.5 30, ST 0.3 6.7, SV 13.7 -88.9, SX 18 -63.1, SY 35 38.5, SZ -26.5 31.5,
TC 21.8 -71.8, TD 15.4 18.7, TF -49.3 69.3, TG 8.6 1, TH 15.5 101, TJ 38.8 71, TK -9.2 -171.8, TL -8.8 125.9,
TM 39.2 59.5, TN 34 9.5, TO -21.2 -175.2, TR 39 35, TT 10.5 -61.3, TV -8 178.5, TW 23.7 121, TZ -6.3 34.8, UA 49 31.5,
UG 1.3 32.4, UM 19.3 166.6, US 39.5 -98, UY -33 -56, UZ 41.5 64, VA 41.9 12.4, VC 13.2 -61.2, VE 7 -66, VG 18.4 -64.6,
VI 18.3 -64.8, VN 16 107.5, VU -16 167, WF -13.3 -176.2, WS -13.6 -172.4, XK 42.6 20.9, YE 15.7 47.6, YT -12.8 45.2,
ZA -29 25, ZM -13.5 27.8, ZW -19 29.8
"""


def _centres(table: str) -> dict[str, tuple[float, float]]:
    rows = (row.split() for row in table.split(","))
    return {code: (float(latitude), float(longitude)) for code, latitude, longitude in rows}


CENTRES: Mapping[str, tuple[float, float]] = MappingProxyType(_centres(_TABLE))
