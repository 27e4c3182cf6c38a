"""The version of the package, for its metadata and for the rows of hosting processes."""

VERSION = "0.1.0"
