"""Run one cell, or with `-m` a grid of cells: `python train.py -m instruction=simplified,delusive,original`."""

from instruct_ablate.entry import main

if __name__ == "__main__":
    main()
