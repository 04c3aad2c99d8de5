"""The decorator programming model: `DFApp` and `Blueprint`. Source: sdk.md 6."""
