"""Formats that are not to be opened: made by Pillow where it writes them, else their first bytes (G23)."""

from __future__ import annotations

import contextlib
import pickle
import struct

from PIL import Image, features

from handmade_images import packed, smooth

# Pillow's name of the format, and the mode it wants.
PLAIN = ("BMP", "DIB", "GIF", "TIFF", "PPM", "JPEG2000", "ICO", "TGA", "PDF", "PCX", "SGI", "EPS")
PLAIN += ("DDS", "ICNS", "QOI", "AVIF", "BigTIFF")
BY_PILLOW = dict.fromkeys(PLAIN, "RGB")
BY_PILLOW |= {"PGM": "L", "PBM": "1", "MSP": "1", "XBM": "1", "SPIDER": "F", "PFM": "F", "BLP": "P"}
BY_PILLOW |= {"PALM": "P", "BMP of 1 bit": "1"}
PILLOWS_NAME = {"PGM": "PPM", "PBM": "PPM", "PFM": "PPM", "BigTIFF": "TIFF", "BMP of 1 bit": "BMP"}


def box(brand: bytes) -> bytes:
    """How files of the ISO container begin."""
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + brand


FIRST_BYTES = {
    "HEIC": box(b"heic"),
    "HEIF": box(b"mif1"),
    "AVIF sequence": box(b"avis"),
    "Canon CR3": box(b"crx "),
    "MP4": box(b"isom"),
    "QuickTime": box(b"qt  "),
    "JPEG XL": b"\xff\x0a" + bytes(40),
    "JPEG XL in a container": b"\0\0\0\x0cJXL \r\n\x87\n",
    "JPEG XR": b"II\xbc\x01" + bytes(40),
    "JPEG 2000 codestream": b"\xff\x4f\xff\x51" + bytes(40),
    "JPEG-LS without a start": b"\xff\xf7\x00\x0b" + bytes(40),
    "MNG": b"\x8aMNG\r\n\x1a\n" + bytes(40),
    "JNG": b"\x8bJNG\r\n\x1a\n" + bytes(40),
    "Photoshop": b"8BPS\x00\x01" + bytes(40),
    "GIMP": b"gimp xcf v011\0" + bytes(40),
    "OpenEXR": b"\x76\x2f\x31\x01\x02" + bytes(40),
    "Radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n",
    "FITS": b"SIMPLE  =                    T" + bytes(80),
    "FLIF": b"FLIF41" + bytes(40),
    "BPG": b"BPG\xfb" + bytes(40),
    "DICOM": bytes(128) + b"DICM" + bytes(40),
    "DjVu": b"AT&TFORM\0\0\0\x20DJVU" + bytes(40),
    "ILBM": b"FORM\0\0\0\x20ILBMBMHD" + bytes(40),
    "DPX": b"SDPX" + bytes(40),
    "Cineon": b"\x80\x2a\x5f\xd7" + bytes(40),
    "FLI": bytes(4) + b"\x11\xaf" + bytes(40),
    "XPM": b"/* XPM */\nstatic char *x[] = {",
    "Windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(40),
    "enhanced metafile": b"\x01\0\0\0" + bytes(36) + b" EMF" + bytes(40),
    "Sun raster": b"\x59\xa6\x6a\x95" + bytes(40),
    "KTX": b"\xabKTX 11\xbb\r\n\x1a\n" + bytes(40),
    "Fuji RAF": b"FUJIFILMCCD-RAW " + bytes(40),
    "Olympus ORF": b"IIRO\x08\0\0\0" + bytes(40),
    "Panasonic RW2": b"IIU\0\x18\0\0\0" + bytes(40),
    "Canon CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(40),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "XML with an entity": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]>',
    "HTML": b"<html><body><img src=x></body></html>",
    "PostScript": b"%!PS-Adobe-3.0\n(x) run",
    "ImageMagick's script": b"push graphic-context\nfill 'url(https://a\"|touch x\")'\n",
    "AVI": b"RIFF\x20\0\0\0AVI LIST" + bytes(40),
    "WAV": b"RIFF\x20\0\0\0WAVEfmt " + bytes(40),
    "animated cursor": b"RIFF\x20\0\0\0ACONanih" + bytes(40),
    "WebM": b"\x1a\x45\xdf\xa3" + bytes(40),
    "Ogg": b"OggS\0" + bytes(40),
    "IM": b"Image type: RGB image\r\nName: x\r\n" + bytes(40),
    "Flash": b"FWS\x09" + bytes(40),
    "gzip": b"\x1f\x8b\x08" + bytes(40),
    "zip": b"PK\x03\x04" + bytes(40),
    "ELF": b"\x7fELF\x02\x01\x01" + bytes(40),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(40),
    "NumPy": b"\x93NUMPY\x01\0" + bytes(40),
    "a pickle": pickle.dumps([1, 2, 3]),
    "a shell script": b"#!/bin/sh\ntouch x\n",
    "a PNG's signature with Unix line ends": b"\x89PNG\n\x1a\n" + bytes(40),
    "a RIFF of no kind": b"RIFF" + struct.pack("<I", 40) + b"WEBQ" + bytes(40),
}


def other_formats() -> dict[str, bytes]:
    """At least the formats of FIRST_BYTES, and those that this Pillow writes."""
    found = {}
    for name, mode in BY_PILLOW.items():
        if name == "AVIF" and not features.check("avif"):
            continue
        options = {"big_tiff": True} if name == "BigTIFF" else {}
        with contextlib.suppress(KeyError, OSError, ValueError):
            picture = Image.fromarray(smooth()).convert(mode)
            found[name] = packed(picture, PILLOWS_NAME.get(name, name), **options)
    return found | FIRST_BYTES
