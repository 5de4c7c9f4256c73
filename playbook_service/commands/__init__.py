"""One module a command of `propolis`; each has add_arguments(parser) and run(arguments) -> int."""
