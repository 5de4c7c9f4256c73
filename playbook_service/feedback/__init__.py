"""What analysts' closings teach: labels, suppression, the reliability of sources, and how we would have done.

Everything rests on one log, `feedback`: what was closed how, by whom, with which labels. A case that is closed anew
replaces what its earlier closing taught. All counts are folded from that log, and can be folded again.
"""
