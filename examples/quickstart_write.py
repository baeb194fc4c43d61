#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes a Zarr v2 array shaped like ERA5 surface data, and what is in it.

    quickstart_write.py FOLDER [--steps N] [--rows N] [--columns N] [--chunk T,R,C]

FOLDER/array.zarr is written by Debian's python3-zarr, in chunks compressed by blosc (lz4, shuffle);
FOLDER/expected has one line per time step: step, CRC-32 of its raw float32 values, their mean.
The values are a smooth random field that drifts with time, rounded to 10 bits of mantissa, as archives
of weather data are.
"""

import argparse
import os
import zlib

import numcodecs
import numpy as np
import zarr


def drifting_field(rows, columns, seed=7):
    """Yields one (rows, columns) field per time step: waves of all sizes, large ones strongest."""
    random = np.random.default_rng(seed)
    ky = np.fft.fftfreq(rows)[:, None] * rows
    kx = np.fft.rfftfreq(columns)[None, :] * columns
    wave = np.hypot(ky, kx)
    wave[0, 0] = 1
    spectrum = wave ** -1.6 * np.exp(2j * np.pi * random.random(wave.shape))
    spectrum[0, 0] = 0
    drift = np.exp(2j * np.pi * (kx * 0.002 + np.sqrt(wave) * 0.003))
    latitude = np.linspace(90, -90, rows)[:, None]
    while True:
        waves = np.fft.irfft2(spectrum, s=(rows, columns))
        yield 298 - 55 * np.sin(np.radians(latitude)) ** 2 + 6 * waves / waves.std()
        spectrum = spectrum * drift


def round_mantissa(values, bits):
    """Float32 values rounded to so many bits of mantissa."""
    drop = 23 - bits
    raw = values.astype("<f4").view("<u4")
    raw = raw + (1 << (drop - 1)) - 1 + ((raw >> drop) & 1)
    return (raw & np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)).astype("<u4").view("<f4")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder")
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--rows", type=int, default=721)
    parser.add_argument("--columns", type=int, default=1440)
    parser.add_argument("--chunk", default=None, help="shape of a chunk; default: one time step")
    arguments = parser.parse_args()
    shape = (arguments.steps, arguments.rows, arguments.columns)
    chunk = tuple(int(n) for n in arguments.chunk.split(",")) if arguments.chunk else (1,) + shape[1:]

    # Version 3 of the package has to be asked for format 2, and measures what it stored by a function.
    format_2 = {"zarr_format": 2} if int(zarr.__version__.split(".", maxsplit=1)[0]) >= 3 else {}
    os.makedirs(arguments.folder, exist_ok=True)
    array = zarr.open(os.path.join(arguments.folder, "array.zarr"), mode="w", shape=shape, chunks=chunk,
                      dtype="<f4", fill_value=0, **format_2,
                      compressor=numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE))
    fields = drifting_field(arguments.rows, arguments.columns)
    with open(os.path.join(arguments.folder, "expected"), "w", encoding="ascii") as expected:
        for first in range(0, arguments.steps, chunk[0]):
            count = min(chunk[0], arguments.steps - first)
            block = np.stack([round_mantissa(next(fields), 10) for _ in range(count)])
            array[first:first + count] = block
            for i in range(count):
                raw = np.ascontiguousarray(block[i]).tobytes()
                expected.write("%d %08x %.6f\n" % (first + i, zlib.crc32(raw), block[i].mean(dtype="f8")))
    stored = array.nbytes_stored() if callable(array.nbytes_stored) else array.nbytes_stored
    print("%s float32 in chunks of %s: %.1f MiB, %.1f MiB on disk" % (
        " x ".join(map(str, shape)), " x ".join(map(str, chunk)), array.nbytes / 2**20, stored / 2**20))


if __name__ == "__main__":
    main()
