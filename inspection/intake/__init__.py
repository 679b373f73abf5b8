"""How images come in: decoder children, and the folder that is watched.

Kept free of imports: the decoder child loads this package and must stay light.
"""
