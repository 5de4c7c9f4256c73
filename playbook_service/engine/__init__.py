"""The engine: steps of work that are claimed, done and acknowledged, each of which may be killed at any instruction.

`step` says what a step is and what it may return, `loop` runs steps, the other modules are the steps themselves. What a
step learns from outside is committed together with its acknowledgement and with the steps that follow from it.
"""
