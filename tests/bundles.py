"""Untrained bundles for tests, made of the shipped ones: to export a network takes ten seconds of a core."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engines.bundle import Bundle, find
from engines.card import Calibration, ModelCard, Provenance


def untrained_landmarks(path: Path) -> Bundle:
    """An untrained micro-action model of the landmark view, with sigmoids."""
    calibration = Calibration(activation="sigmoid")
    return Bundle.load(find("untrained-small")).derive(path, view="landmarks", calibration=calibration)


def untrained_emotion(path: Path) -> Bundle:
    """The shipped emotion model, under a card that says that it is untrained and uncalibrated."""
    shipped = Bundle.load(find("emotions"))
    provenance = Provenance(trained=False, trained_on="nothing: untrained")
    card = msgspec.structs.replace(
        shipped.card, name="untrained-emotion", provenance=provenance, calibration=Calibration()
    )
    return Bundle.write(path, card, shipped.onnx_path, shipped.reference_arrays(), shipped.weights_path)


def untrained_streaming(path: Path) -> Bundle:
    """The smallest network that carries states."""
    from engines.export.onnx_export import write_bundle
    from engines.networks.initialise import initialise
    from engines.specs.manet import MANetSpec

    spec = MANetSpec(depth=18, width=8, size=32, shift="past")
    provenance = Provenance(trained=False, trained_on="nothing: untrained", seed=3)
    card = ModelCard(name="streaming", network=spec, intended_use="tests", provenance=provenance)
    return write_bundle(initialise(spec, 3), card, path)
