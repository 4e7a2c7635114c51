"""The documents of odm_bench.py: one of six fields, and an order of 361 bytes."""

import datetime

DATABASE = "odmbench"
NOTE = "leave it at the back door, please. Thanks!"


def make_user(i):
    return {
        "name": f"Name Surname {i}", "email": f"user{i}@example.org", "age": 20 + i % 60, "city": f"City {i % 17}",
        "score": i * 1.25 % 100, "created_at": datetime.datetime(2024, 1, 1 + i % 28),
    }


def make_order(i):
    lines = [{"sku": f"AB{(i * 7 + k) % 10000:04d}", "qty": 1 + k % 9, "price": 9.5 + k} for k in range(3)]
    return {
        "order_no": f"ORD-{i % 1000000:06d}", "status": ("new", "paid", "shipped", "done")[i % 4],
        "customer": {"name": f"Name Surname {i}", "email": f"user{i}@example.org", "city": f"City {i % 17}",
                     "vip": i % 3 == 0},
        "items": lines, "total": sum(line["qty"] * line["price"] for line in lines),
        "note": None if i % 2 else NOTE, "placed_at": datetime.datetime(2024, 1, 1 + i % 28),
    }
