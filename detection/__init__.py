"""The vision core: arrays in, arrays out. No Django, settings, database or global state.

Importing this package loads no engine; torch, timm, openvino, cv2 and numba come in when a
detector is built. Start at `detection.model` (fit, score, save, load).
"""
