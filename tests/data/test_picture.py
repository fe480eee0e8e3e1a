"""Every kind of picture file gives the pixels of its plain grey copy."""

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regbench.data.picture import as_bytes, read, white_level
from regbench.errors import UserError

GREY = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
GREY[0, :2] = 0, 255  # the whole range
INK = np.where(GREY < 128, 0, 255).astype(np.uint8)  # a drawing: black on white


def saved(folder: Path, image: Image.Image, suffix: str = "png", **options: object) -> str:
    path = folder / f"picture.{suffix}"
    try:
        image.save(path, **options)
    except OSError:  # an older Pillow writes 16 bits from this mode only, a newer one does not
        image.convert("I").save(path, **options)
    return str(path)


def grey(name: str) -> np.ndarray:
    """The picture as a data set of this one file would hold it."""
    (pixels,) = as_bytes([read(name)])
    assert pixels.dtype == np.uint8 and pixels.shape == (28, 28)
    return pixels


def layers(ink: int, mode: str) -> Image.Image:
    """INK's black as ink of some grey level on a transparent background."""
    drawn = Image.merge("LA", [Image.new("L", (28, 28), ink), Image.fromarray(255 - INK)])
    return drawn.convert(mode)


# transparency


@pytest.mark.parametrize(("mode", "suffix"), [("RGBA", "png"), ("LA", "png"), ("RGBA", "tif"), ("RGBA", "webp")])
def test_black_ink_on_transparent_is_black_on_white(tmp_path, mode, suffix):
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    assert np.array_equal(grey(saved(tmp_path, layers(0, mode), suffix, **options)), INK)


def test_half_transparent_black_is_grey(tmp_path):
    half = Image.merge("LA", [Image.new("L", (28, 28), 0), Image.fromarray(np.uint8(GREY))])
    assert np.abs(grey(saved(tmp_path, half)).astype(int) - (255 - GREY)).max() <= 1


@pytest.mark.parametrize("clear", [0, bytes([0, 255])], ids=["one entry", "alpha of each entry"])
def test_a_clear_entry_of_a_palette_is_white(tmp_path, clear):
    image = Image.fromarray(np.uint8(INK == 0))
    image.putpalette([200, 10, 10, 0, 0, 0])  # 0: red, 1: black
    name = saved(tmp_path, image, transparency=clear)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(grey(name), INK)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_colour_that_is_said_to_be_clear_is_white(tmp_path, mode):
    image = Image.fromarray(np.where(INK == 255, 0, 100).astype(np.uint8)).convert(mode)
    name = saved(tmp_path, image, transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert np.array_equal(grey(name), np.where(INK == 255, 255, 100))


def test_a_clear_value_of_16_bits_is_white(tmp_path):
    image = Image.fromarray(np.where(INK == 255, 7, 257 * 100).astype(np.uint16))
    assert np.array_equal(grey(saved(tmp_path, image, transparency=7)), np.where(INK == 255, 255, 100))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_opaque_picture_keeps_its_pixels(tmp_path, mode):
    assert np.array_equal(grey(saved(tmp_path, Image.fromarray(GREY).convert(mode))), GREY)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_white_ink_on_transparent_is_refused(tmp_path, mode):
    with pytest.raises(UserError, match=r"picture\.png cannot be read as an image: it is white on a transparent back"):
        read(saved(tmp_path, layers(255, mode)))


def test_one_bit_of_white_ink_on_transparent_is_refused(tmp_path):
    with pytest.raises(UserError, match="white on a transparent background"):
        read(saved(tmp_path, Image.fromarray(INK).convert("1"), transparency=0))


def test_an_empty_sheet_is_no_mistake(tmp_path):
    assert (grey(saved(tmp_path, Image.new("RGBA", (28, 28), (255, 255, 255, 255)))) == 255).all()
    assert (grey(saved(tmp_path, Image.new("RGBA", (28, 28), (0, 0, 0, 0)))) == 255).all()


# more than 8 bits


@pytest.mark.parametrize(
    ("pixels", "suffix"),
    [
        (GREY.astype(np.uint16) * 257, "png"),
        (GREY.astype(np.uint16) * 257, "tif"),
        (GREY.astype(np.uint16) * 257, "pgm"),
        (GREY.astype(">u2") * 257, "tif"),
        (GREY.astype(np.uint16), "tif"),
        (GREY.astype(np.uint16) * 16 + 15, "png"),
        (GREY.astype(np.int32), "tif"),
        (GREY.astype(np.int32) * 257, "tif"),
        (GREY.astype(np.int32) * 2**23, "tif"),
        (GREY.astype(np.float32) / 255, "tif"),
        (GREY.astype(np.float32), "tif"),
        (GREY.astype(np.float32) * 257, "tif"),
    ],
    ids=["png", "tif", "pgm", "big", "8 in 16", "12 in 16", "8 in 32", "16 in 32", "31 in 32", "1", "255", "65535"],
)
def test_more_bits_give_the_same_picture(tmp_path, pixels, suffix):
    found = grey(saved(tmp_path, Image.fromarray(pixels), suffix))
    assert np.abs(found.astype(int) - GREY).max() <= 1
    assert len(np.unique(found)) > 200


def test_more_bits_are_resized_as_fewer_are(tmp_path):
    large = np.random.default_rng(1).integers(0, 256, (60, 45), dtype=np.uint8)
    plain = grey(saved(tmp_path, Image.fromarray(large)))
    deep = grey(saved(tmp_path, Image.fromarray(large.astype(np.uint16) * 257)))
    assert np.abs(plain.astype(int) - deep).max() <= 1


def test_pictures_of_a_set_share_one_white(tmp_path):
    dark, bright = (Image.fromarray(np.full((28, 28), level, np.uint16)) for level in (1000, 60_000))
    plain = read(saved(tmp_path, Image.new("L", (28, 28), 90)))
    pictures = [read(saved(tmp_path, dark)), plain, read(saved(tmp_path, bright))]
    assert [int(pixels.max()) for pixels in as_bytes(pictures)] == [round(1000 / 257), 90, round(60_000 / 257)]


def test_the_white_level_has_the_fewest_bits_that_hold_the_pixels():
    assert [white_level(True, largest) for largest in (0.0, 0.5, 1.0, 1.5, 255.0)] == [1, 1, 1, 255, 255]
    assert [white_level(False, largest) for largest in (1, 255, 256, 4095, 4096, 65_535)] == [
        *(255, 255, 1023, 4095, 16_383, 65_535)
    ]
    assert white_level(True, 1e12) == 1e12


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_pixels_that_are_no_brightness_are_refused(tmp_path, bad):
    pixels = GREY.astype(np.float32)
    pixels[3, 3] = bad
    with pytest.raises(UserError, match=r"picture\.tif cannot be read as an image: pixels must be finite and from 0"):
        read(saved(tmp_path, Image.fromarray(pixels), "tif"))


# orientation

TURNS = {  # the tag, and how a camera that wrote it had stored the upright picture
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).T,
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("tag", TURNS)
@pytest.mark.parametrize("deep", [False, True], ids=["8 bits", "16 bits"])
def test_a_picture_is_turned_upright(tmp_path, tag, deep):
    exif = Image.Exif()
    exif[0x0112] = tag
    stored = np.ascontiguousarray(TURNS[tag](GREY))
    image = Image.fromarray(stored.astype(np.uint16) * 257 if deep else stored)
    assert np.array_equal(grey(saved(tmp_path, image, exif=exif)), GREY)


# what Pillow cannot read


@pytest.mark.parametrize(
    "error",
    [ValueError("a\nb"), SyntaxError("x"), struct.error("y"), MemoryError(), EOFError("z"), KeyError("k")],
    ids=lambda error: type(error).__name__,
)
def test_whatever_pillow_raises_is_one_line_with_the_name(tmp_path, monkeypatch, error):
    def fail(*_: object) -> None:
        raise error

    name = saved(tmp_path, Image.fromarray(GREY))
    monkeypatch.setattr(Image.Image, "load", fail)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load_prepare", fail)
    with pytest.raises(UserError) as caught:
        read(name)
    assert str(caught.value).startswith(f"{name} cannot be read as an image: ")
    assert "\n" not in str(caught.value)


def test_an_image_of_too_many_pixels_is_named(tmp_path, monkeypatch):
    name = saved(tmp_path, Image.new("L", (300, 100)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(UserError, match=r"picture\.png cannot be read as an image: more than 20,000 pixels: save it"):
        read(name)


def test_a_large_image_is_read_without_a_warning(tmp_path, monkeypatch):
    name = saved(tmp_path, Image.fromarray(GREY))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 28 * 28 - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(grey(name), GREY)


@pytest.mark.parametrize("keep", [60, 0.5])
def test_a_damaged_file_is_named(tmp_path, keep):
    path = Path(saved(tmp_path, Image.fromarray(GREY)))
    content = path.read_bytes()
    path.write_bytes(content[: keep if keep > 1 else int(len(content) * keep)])
    with pytest.raises(UserError, match=r"picture\.png cannot be read as an image: "):
        read(str(path))


def test_a_warning_of_pillow_names_the_file(tmp_path, monkeypatch):
    name = saved(tmp_path, Image.fromarray(GREY))
    convert = Image.Image.convert

    def warn_and_convert(*arguments: object) -> Image.Image:
        warnings.warn("odd", stacklevel=1)
        return convert(*arguments)

    monkeypatch.setattr(Image.Image, "convert", warn_and_convert)
    with pytest.warns(UserWarning, match=r"picture\.png: odd$"):
        read(name)


def test_a_broken_exif_block_does_not_hide_the_picture(tmp_path):
    image = Image.fromarray(GREY)
    plain = grey(saved(tmp_path, image, "jpg", quality=95))
    broken = saved(tmp_path, image, "jpg", quality=95, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.array_equal(grey(broken), plain)
