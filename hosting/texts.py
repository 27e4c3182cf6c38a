"""Texts made fit for where they go."""

from __future__ import annotations


def shortened(text: str, longest: int) -> str:
    """The text, of which only so many characters are kept; it says how many are missing."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}\n… {len(text) - longest:,} more characters"


def encodable(text: str) -> str:
    """The text with escapes for halves of surrogate pairs, which names of files may have."""
    return text.encode(errors="backslashreplace").decode()
