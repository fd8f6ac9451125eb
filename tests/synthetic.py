"""Small synthetic videos: a moving, textured, coloured scene, with sound, subtitles and chapters.

`helpers` runs commands on them and compares frames.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.subtitles.subtitle import SubtitleSet

from tinct.frames import ColourTags, Frame, VideoInfo
from tinct.media.sink import open_sink

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]

UNTAGGED = ColourTags()

ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, \
Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def draw_scene(time: float, width: int, height: int, bit_depth: int = 8) -> Planes:
    """Return the 4:2:0 planes at `time` (in frames).

    A texture drifts, a red disc moves to the right and a blue bar moves down.
    """
    y = _draw_luma(time, np.arange(width), np.arange(height))
    cb, cr = _draw_chroma(time, width, height)
    unit = 1 << (bit_depth - 8)
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    low, high = 16 * unit, 235 * unit
    return tuple(np.clip(np.rint(p * unit), low, high).astype(dtype) for p in (y, cb, cr))  # type: ignore[return-value]


def _draw_luma(time: float, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    x, y = np.meshgrid(columns - 1.5 * time, rows - 0.5 * time)
    texture = (
        30 * np.sin(x / 3) * np.cos(y / 4) + 15 * np.sin((x + y) / 1.7) + 7.37 * np.cos(x * y / 91)
    )
    return 110 + 0.3 * columns + texture


def _draw_chroma(time: float, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.arange(0, width, 2), np.arange(0, height, 2))
    disc = np.hypot(x - width / 4 - 1.5 * time, y - height / 2) < height / 5
    bar = np.abs(y - height / 4 - 0.5 * time) < height / 10
    cb = 118 + 0.2 * x - 30.0 * disc + 60.0 * bar
    cr = 132 - 0.2 * y + 70.0 * disc - 20.0 * bar
    return cb, cr


def draw_clip(count: int, width: int = 64, height: int = 48, bit_depth: int = 8) -> list[Planes]:
    """Return the planes of the first `count` frames of the scene."""
    return [draw_scene(n, width, height, bit_depth) for n in range(count)]


def make_info(width: int = 64, height: int = 48, **changes: Any) -> VideoInfo:
    """Return the description of an 8-bit video of 25 frames/s, with these fields changed."""
    rate = changes.pop("frame_rate", Fraction(25))
    base = Fraction(1, 1000) if rate is None else 1 / rate
    fields = {
        "bit_depth": 8,
        "time_base": base,
        "frame_rate": rate,
        "frame_count": None,
        "duration_seconds": None,
    }
    return VideoInfo(width=width, height=height, **(fields | changes))


def make_frames(
    planes: Sequence[Planes], about: VideoInfo, pts: Sequence[int] | None = None
) -> list[Frame]:
    """Return frames of these planes, at the ticks `pts` or else one tick apart."""
    return [Frame(*p, pts[n] if pts else n, about) for n, p in enumerate(planes)]


def write_clip(
    path: Path,
    *,
    frames: int = 12,
    size: tuple[int, int] = (64, 48),
    pix_fmt: str = "yuv420p",
    rate: Fraction | int = 25,
    codec: str = "ffv1",
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    audio: str | None = None,
    subtitles: Sequence[tuple[float, float, str]] = (),
    rotation: int = 0,
    vfr: Sequence[int] | None = None,
    delay: int = 0,
    colour: ColourTags = UNTAGGED,
    sample_aspect_ratio: Fraction = Fraction(1),
    chapters: Sequence[tuple[float, float, str]] = (),
    attachments: Sequence[tuple[str, str, bytes]] = (),
    metadata: dict[str, str] | None = None,
    video_metadata: dict[str, str] | None = None,
    audio_metadata: dict[str, str] | None = None,
) -> list[Planes]:
    """Write a clip in the format of the suffix and return its 4:2:0 planes, before any loss.

    `size` is width, height. `vfr` lists the times of the frames in milliseconds; the video starts
    `delay` frames late. `audio` names an encoder. Subtitles and chapters are (start, end, text) in
    seconds; attachments are (name, media type, bytes).
    """
    depth = 10 if "10" in pix_fmt else 8
    planes = draw_clip(frames, *size, depth)
    with av.open(str(path), "w", container_options=container_options or {}) as out:
        video = out.add_stream(codec, rate=Fraction(rate), options=codec_options or {})
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        context = video.codec_context
        context.time_base = video.time_base = Fraction(1, 1000) if vfr else 1 / Fraction(rate)
        context.sample_aspect_ratio = sample_aspect_ratio
        context.color_primaries, context.color_trc, context.colorspace = (
            colour.primaries,
            colour.transfer,
            colour.matrix,
        )
        context.color_range = {None: 0, False: 1, True: 2}[colour.full_range]
        if rotation:
            video.set_display_rotation(-rotation)
        video.metadata.update(video_metadata or {})
        sound = _add_sound(out, audio, audio_metadata) if audio else None
        texts = _add_texts(out) if subtitles else None
        for name, kind, data in attachments:
            out.add_attachment(name, kind, data)
        out.metadata.update(metadata or {})
        if chapters:
            out.set_chapters([_make_chapter(n, *chapter) for n, chapter in enumerate(chapters)])
        out.start_encoding()
        for start, end, text in subtitles:
            out.mux(_make_text_packet(texts, start, end, text))
        if sound is not None:
            _write_tone(out, sound, (frames + delay) / float(rate))
        for n, p in enumerate(planes):
            raw = to_av(p, pix_fmt, colour)
            raw.pts, raw.time_base = (vfr[n] if vfr else n + delay), context.time_base
            out.mux(video.encode(raw))
        out.mux(video.encode(None))
    return planes


def write_video(
    path: Path | str, planes: list[Planes], about: VideoInfo, *, pts: list[int] | None = None
) -> list[str]:
    """Write planes with Tinct's own sink, unlike `write_clip`, and return its notes."""
    with open_sink(str(path), about) as sink:
        for frame in make_frames(planes, about, pts):
            sink.write(frame)
    return sink.notes


def to_av(planes: Planes, pix_fmt: str, colour: ColourTags = UNTAGGED) -> av.VideoFrame:
    """Return a frame of FFmpeg's of these planes, converted to `pix_fmt` where that differs."""
    height, width = planes[0].shape
    deep = planes[0].dtype == np.uint16
    base = "yuv420p10le" if deep else "yuv420p"
    own = pix_fmt in ("gray", "gray10le", "yuvj420p", base)
    raw = av.VideoFrame(width, height, pix_fmt if own else base)
    for plane, samples in zip(raw.planes, planes, strict=False):
        rows = np.frombuffer(plane, samples.dtype).reshape(-1, plane.line_size // samples.itemsize)
        rows[: samples.shape[0], : samples.shape[1]] = samples
    if not own and not pix_fmt.startswith(("rgb", "bgr", "gbr", "pal")):
        raw, own = raw.reformat(format=pix_fmt, threads=1), True  # swscale knows few matrices
    raw.colorspace = colour.matrix
    raw.color_range = {None: 0, False: 1, True: 2}[colour.full_range]
    raw.color_primaries, raw.color_trc = colour.primaries, colour.transfer
    if own:
        return raw
    return raw.reformat(format=pix_fmt, threads=1)  # swscale's threads race at odd sizes


def _add_sound(out: OutputContainer, codec: str, metadata: dict[str, str] | None) -> Any:
    sound = out.add_stream(codec, rate=48000)
    sound.codec_context.layout = "mono"
    sound.metadata.update(metadata or {})
    return sound


def _write_tone(out: OutputContainer, sound: Any, seconds: float) -> None:
    samples = (
        0.3 * np.sin(np.arange(round(48000 * seconds)) * 2 * np.pi * 440 / 48000) * 32767
    ).astype(np.int16)
    raw = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    raw.sample_rate, raw.pts, raw.time_base = 48000, 0, Fraction(1, 48000)
    out.mux(sound.encode(raw))
    out.mux(sound.encode(None))


def _add_texts(out: OutputContainer) -> Any:
    codec = "mov_text" if out.format.name in ("mp4", "mov") else "subrip"
    texts = out.add_stream(codec, time_base=Fraction(1, 1000))
    texts.codec_context.subtitle_header = ASS_HEADER
    texts.metadata["language"] = "ger"
    return texts


def _make_text_packet(stream: Any, start: float, end: float, text: str) -> Packet:
    event = SubtitleSet.create(
        text=f"0,0,Default,,0,0,0,,{text}".encode(), start=0, end=round((end - start) * 1000)
    )
    packet = stream.codec_context.encode_subtitle(event)
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = round(start * 1000)
    packet.duration = round((end - start) * 1000)
    packet.stream = stream
    return packet


def _make_chapter(number: int, start: float, end: float, title: str) -> Any:
    base = Fraction(1, 1000)
    return {
        "id": number + 1,
        "start": round(start * 1000),
        "end": round(end * 1000),
        "time_base": base,
        "metadata": {"title": title},
    }


def write_rich_clip(path: Path) -> Path:
    """Write two seconds of MP4 with sound, subtitles, chapters and tags."""
    write_clip(
        path,
        frames=50,
        codec="libx264",
        audio="aac",
        subtitles=[(0.2, 0.9, "Hello {\\i1}you{\\i0}"), (1.2, 1.6, "two\\Nlines")],
        chapters=[(0, 1, "first"), (1, 2, "second")],
        metadata={"title": "A film", "artist": "Someone"},
        audio_metadata={"language": "fre", "title": "Voice"},
    )
    return path


def draw_texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return smooth random levels from 20 to 235, [height, width]."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(20, 235, (height // 6 + 3, width // 6 + 3))
    rows, columns = np.arange(height) / 6, np.arange(width) / 6
    r, c = rows.astype(int), columns.astype(int)
    fr, fc = (rows - r)[:, None], (columns - c)[None]
    top = coarse[r][:, c] * (1 - fc) + coarse[r][:, c + 1] * fc
    below = coarse[r + 1][:, c] * (1 - fc) + coarse[r + 1][:, c + 1] * fc
    return np.rint(top * (1 - fr) + below * fr).astype(np.uint8)


WORLD = draw_texture(140, 200), draw_texture(70, 100, 1), draw_texture(70, 100, 2)


def cut_view(shift: int, bit_depth: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the planes of a window of 128x96 on a textured world, `shift` pixels to the right.

    `shift` is even, so that chroma moves by whole samples.
    """
    luma, *colour = WORLD
    half = 10 + shift // 2
    planes = luma[20:116, 20 + shift : 148 + shift], *(p[10:58, half : half + 64] for p in colour)
    unit = 1 << (bit_depth - 8)
    dtype = np.uint16 if bit_depth > 8 else np.uint8
    y, cb, cr = (np.ascontiguousarray(p).astype(dtype) * unit for p in planes)
    return y, cb, cr


def write_broken_start(path: Path, *, size: tuple[int, int]) -> Path:
    """Write H.264 that begins within a group: how many frames are lost shows at the file's end."""
    whole = path.with_name("whole.mkv")
    options = {"g": "10", "qp": "4", "x264-params": "open-gop=1:bframes=3"}
    write_clip(whole, frames=40, size=size, codec="libx264", codec_options=options)
    with av.open(str(whole)) as given, av.open(str(path), "w") as out:
        copy = out.add_stream_from_template(given.streams.video[0])
        packets = [packet for packet in given.demux(video=0) if packet.size]
        for packet in packets[3:]:
            packet.stream = copy
            out.mux(packet)
    whole.unlink()
    return path
