"""Answers of Prometheus's HTTP API, as a server writes them."""


def series(labels, *values, start=0, step=60):
    """A series of a matrix; None is a staleness gap, text stands as it is."""
    points = [[start + step * index, value] for index, value in enumerate(values) if value is not None]
    return {
        "metric": labels,
        "values": [[at, value if isinstance(value, str) else f"{value:g}"] for at, value in points],
    }


def native(labels, *rows, start=0, step=60):
    """A series of native histograms; a row is a list of [lower, upper, count], and None a gap."""
    points = [
        [
            start + step * index,
            {
                "count": f"{sum(bucket[2] for bucket in row):g}",
                "sum": "1.5",
                "buckets": [[0, f"{low:g}", f"{high:g}", f"{count:g}"] for low, high, count in row],
            },
        ]
        for index, row in enumerate(rows)
        if row is not None
    ]
    return {"metric": labels, "histograms": points}


def matrix(*result):
    """A whole answer."""
    return {"status": "success", "data": {"resultType": "matrix", "result": list(result)}}
