"""The capture process, one per camera: source → view → sender; and what keeps it alive."""
