"""What happens next to this instance? Sees wire shapes, never the SDK's objects."""
