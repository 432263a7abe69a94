"""Glass to glass: codes that change are shown on a screen, the camera films them, and the capture reads them again."""
