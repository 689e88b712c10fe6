"""`python -m instruct_ablate` is `instruct-ablate`."""

from instruct_ablate.command_line import main

if __name__ == "__main__":
    main()
