"""A map server on this machine, of tiles and of WMS, that serves one picture of the world or fails as it is told."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray
from qgis.core import QgsDataSourceUri, QgsRasterLayer
from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice
from qgis.PyQt.QtGui import QImage

WORLD_M = 20037508.342789244
TILE_PX = 256
ZOOM_LEVELS = 19
WMS_BOUNDS = (440000.0, 4170000.0, 450000.0, 4180000.0)
WMS_CRS = "EPSG:32618"

_CAPABILITIES = """<?xml version="1.0"?>
<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms" xmlns:xlink="http://www.w3.org/1999/xlink">
<Service><Name>WMS</Name><Title>Test</Title><OnlineResource xlink:href="{url}"/></Service>
<Capability><Request>
<GetCapabilities><Format>text/xml</Format><DCPType><HTTP><Get><OnlineResource xlink:href="{url}?"/></Get></HTTP>
</DCPType></GetCapabilities>
<GetMap><Format>image/png</Format><DCPType><HTTP><Get><OnlineResource xlink:href="{url}?"/></Get></HTTP>
</DCPType></GetMap>
</Request><Exception><Format>XML</Format></Exception>
<Layer><Title>Root</Title><CRS>{crs}</CRS>
<EX_GeographicBoundingBox><westBoundLongitude>-76</westBoundLongitude><eastBoundLongitude>-75</eastBoundLongitude>
<southBoundLatitude>37</southBoundLatitude><northBoundLatitude>38</northBoundLatitude></EX_GeographicBoundingBox>
<BoundingBox CRS="{crs}" minx="{bounds[0]}" miny="{bounds[1]}" maxx="{bounds[2]}" maxy="{bounds[3]}"/>
<Layer><Name>fields</Name><Title>Fields</Title><Style><Name>default</Name><Title>Default</Title></Style></Layer>
</Layer></Capability></WMS_Capabilities>"""

_WMTS_CAPABILITIES = """<?xml version="1.0"?>
<Capabilities xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1"
 xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0.0">
<ows:ServiceIdentification><ows:Title>Test</ows:Title><ows:ServiceType>OGC WMTS</ows:ServiceType>
<ows:ServiceTypeVersion>1.0.0</ows:ServiceTypeVersion></ows:ServiceIdentification>
<Contents>
<Layer><ows:Title>Fields</ows:Title><ows:WGS84BoundingBox><ows:LowerCorner>-180 -85.05</ows:LowerCorner>
<ows:UpperCorner>180 85.05</ows:UpperCorner></ows:WGS84BoundingBox><ows:Identifier>fields</ows:Identifier>
<Style isDefault="true"><ows:Identifier>default</ows:Identifier></Style><Format>image/png</Format>
<TileMatrixSetLink><TileMatrixSet>world</TileMatrixSet></TileMatrixSetLink>
<ResourceURL format="image/png" resourceType="tile"
 template="{url}/{{TileMatrix}}/{{TileCol}}/{{TileRow}}.png"/></Layer>
<TileMatrixSet><ows:Identifier>world</ows:Identifier>
<ows:SupportedCRS>urn:ogc:def:crs:EPSG::3857</ows:SupportedCRS>{matrices}</TileMatrixSet>
</Contents></Capabilities>"""
_MATRIX = """<TileMatrix><ows:Identifier>{zoom}</ows:Identifier><ScaleDenominator>{scale!r}</ScaleDenominator>
<TopLeftCorner>-20037508.342789244 20037508.342789244</TopLeftCorner><TileWidth>256</TileWidth>
<TileHeight>256</TileHeight><MatrixWidth>{count}</MatrixWidth><MatrixHeight>{count}</MatrixHeight></TileMatrix>"""
# WMTS counts scales for screens with pixels of this size.
_SCREEN_PIXEL_M = 0.00028

_EXCEPTION = b"""<?xml version="1.0"?><ServiceExceptionReport version="1.3.0" xmlns="http://www.opengis.net/ogc">
<ServiceException code="LayerNotDefined">no such layer</ServiceException></ServiceExceptionReport>"""


def resolution_of(zoom: int) -> float:
    """Return the size in metres of a pixel at the equator."""
    return 2 * WORLD_M / TILE_PX / 2**zoom


def colours_of(columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return (row, column, 4) of the pixels with these numbers: fields of 16 pixels, opaque."""
    x, y = np.meshgrid(columns, rows)
    red = 40 + (x // 16 * 53 + y // 16 * 31) % 160
    green = 60 + (x // 16 * 17 + y // 16 * 71) % 140
    return np.stack([red, green, x % 200, np.full_like(x, 255)], axis=-1).astype(np.uint8)


_ADDRESSES = ipaddress.ip_network("127.1.0.0/16").hosts()


class WebServer:
    """What the server does, and what it was asked.

    Attributes:
        behaviour: "serve", "error NUMBER", "login", "slow", "html", "exception", "damaged", "drop" or "black".
        failures_left: how often it misbehaves before it serves; None for always.
        only_tile: a part of the address that it misbehaves for; "" for all.
        delay_s: how long "slow" takes.
        requests: paths of tiles and pictures, in the order in which they came.
    """

    def __init__(self, address: str, port: int) -> None:
        self.host = f"{address}:{port}"
        self.behaviour = "serve"
        self.failures_left: Optional[int] = None
        self.only_tile = ""
        self.delay_s = 30.0
        self.requests: list[str] = []
        self.is_closed = threading.Event()
        self._lock = threading.Lock()

    def xyz_layer(self, name: str = "Tiles") -> QgsRasterLayer:
        """Return a layer of tiles, in EPSG:3857."""
        uri = QgsDataSourceUri()
        # A key in the address must reach the server and nobody else.
        uri.setParam("url", f"http://{self.host}/tiles/{{z}}/{{x}}/{{y}}.png?key=secret")
        for key, value in (("type", "xyz"), ("zmin", "0"), ("zmax", str(ZOOM_LEVELS - 1))):
            uri.setParam(key, value)
        # How much of an address is percent-encoded differs between versions, and none reads another's wholly.
        return QgsRasterLayer(bytes(uri.encodedUri()).decode(), name, "wms")

    def wms_layer(self, name: str = "Map") -> QgsRasterLayer:
        """Return a layer of a WMS."""
        uri = f"crs={WMS_CRS}&dpiMode=7&format=image/png&layers=fields&styles=default&url=http://{self.host}/wms"
        return QgsRasterLayer(uri, name, "wms")

    def wmts_layer(self, name: str = "Map tiles") -> QgsRasterLayer:
        """Return a layer of a WMTS, with the tiles of the XYZ one."""
        uri = (
            "crs=EPSG:3857&dpiMode=7&format=image/png&layers=fields&styles=default&tileMatrixSet=world"
            f"&url=http://{self.host}/wmts/WMTSCapabilities.xml"
        )
        return QgsRasterLayer(uri, name, "wms")

    def misbehaviour(self, path: str) -> str:
        """Note a request, and return how to answer it."""
        with self._lock:
            self.requests.append(path)
            # Later versions of QGIS percent-encode commas.
            if self.behaviour == "serve" or self.only_tile not in unquote(path):
                return "serve"
            if self.failures_left is not None:
                if self.failures_left == 0:
                    return "serve"
                self.failures_left -= 1
            return self.behaviour


@contextmanager
def web_server() -> Iterator[WebServer]:
    """Yield a server that runs until the end."""
    # QGIS keeps tiles by their address, and the system hands ports out again: an earlier test's picture would come.
    address = str(next(_ADDRESSES))
    http = ThreadingHTTPServer((address, 0), _Handler)
    http.daemon_threads = True
    server = http.web_server = WebServer(address, http.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_closed.set()
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        server: WebServer = self.server.web_server  # type: ignore[attr-defined]
        if "capabilities" in self.path.lower():
            self._answer(self._capabilities(server), "text/xml")
            return
        behaviour = server.misbehaviour(self.path)
        if behaviour == "slow":
            server.is_closed.wait(server.delay_s)
        if behaviour.startswith("error"):
            self.send_error(int(behaviour.split()[1]))
        elif behaviour == "login":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="maps"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif behaviour == "html":
            self._answer(b"<html>Please log in</html>", "text/html")
        elif behaviour == "exception":
            self._answer(_EXCEPTION, "text/xml")
        elif behaviour == "damaged":
            self._answer(b"not a picture", "image/png")
        elif behaviour == "drop":
            self.close_connection = True
        elif behaviour == "black":
            picture = self._picture()
            picture[..., :3], picture[..., 3] = 0, 255
            self._answer(_png(picture), "image/png")
        else:
            self._answer(_png(self._picture()), "image/png")

    def _capabilities(self, server: WebServer) -> bytes:
        if self.path.startswith("/wmts"):
            matrices = "".join(
                _MATRIX.format(zoom=zoom, scale=resolution_of(zoom) / _SCREEN_PIXEL_M, count=2**zoom)
                for zoom in range(ZOOM_LEVELS)
            )
            return _WMTS_CAPABILITIES.format(url=f"http://{server.host}/tiles", matrices=matrices).encode()
        return _CAPABILITIES.format(url=f"http://{server.host}/wms", crs=WMS_CRS, bounds=WMS_BOUNDS).encode()

    def _picture(self) -> NDArray[np.uint8]:
        address = urlsplit(self.path)
        if address.path.startswith("/tiles"):
            _zoom, column, row = (int(part) for part in address.path[:-4].split("/")[2:])
            pixels = np.arange(TILE_PX)
            return colours_of(column * TILE_PX + pixels, row * TILE_PX + pixels)
        query = {name.upper(): values[0] for name, values in parse_qs(address.query).items()}
        x_min, _, x_max, y_max = (float(number) for number in query["BBOX"].split(","))
        width, height = int(query["WIDTH"]), int(query["HEIGHT"])
        size = (x_max - x_min) / width
        column, row = round((x_min - WMS_BOUNDS[0]) / size), round((WMS_BOUNDS[3] - y_max) / size)
        return colours_of(column + np.arange(width), row + np.arange(height))

    def _answer(self, content: bytes, content_type: str) -> None:
        try:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            # Whoever asked did not wait.
            self.close_connection = True


def _png(colours: NDArray[np.uint8]) -> bytes:
    height, width, _ = colours.shape
    image = QImage(np.ascontiguousarray(colours).tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)
    content = QByteArray()
    buffer = QBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(content)
