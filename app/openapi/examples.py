"""A request of each operation that takes one, with all its fields."""

from typing import Any

_LIMIT = {"kind": "deposit", "period": "week", "currency": "EUR"}
_RESULT = {"home": {"result": "won"}, "away": {"result": "lost"}}
_EVENT = {
    "reference": "d-1",
    "status": "done",
    "userId": "ann",
    "walletId": "w-1",
    "amount": 1000,
    "currency": "EUR",
    "kind": "charge",
    "eventId": "e-1",
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "PaymentService/deposit": {
        "walletId": "w-1",
        "userId": "ann",
        "email": "ann@example.com",
        "amount": 1000,
        "paymentMethod": "creditCard",
        "depositId": "d-1",
        "currency": "EUR",
    },
    "PaymentService/withdraw": {
        "walletId": "w-1",
        "userId": "ann",
        "amount": 500,
        "destination": "bank",
        "withdrawalId": "wd-1",
    },
    "PaymentService/webhook": _EVENT,
    "DepositFollowUp/webhook": _EVENT,
    "WithdrawalWorkflow/approve": {"operator": "olivia"},
    "WithdrawalWorkflow/reject": {"operator": "olivia", "reason": "no papers", "message": "Please send your papers."},
    "PlayerService/getStatement": {"page": 1},
    "PlayerService/changeEmail": {"email": "ann@example.org"},
    "PlayerService/confirmEmail": {"code": "K7MPQ2XW4R"},
    "PlayerService/placeBet": {
        "betId": "b-1",
        "walletId": "w-1",
        "stake": 200,
        "legs": [{"marketId": "m-1", "selectionId": "home", "price": "2.50"}],
        "systemSize": 1,
        "priceChange": "none",
    },
    "PlayerService/cashOut": {"betId": "b-1", "minAmount": 150},
    "PlayerService/getBet": {"betId": "b-1"},
    "PlayerService/setLimit": {**_LIMIT, "amount": 5000},
    "PlayerService/confirmLimit": _LIMIT,
    "PlayerService/cancelLimitChange": _LIMIT,
    "PlayerService/takeBreak": {"days": 7},
    "PlayerService/selfExclude": {"months": 6, "confirm": True},
    "MarketService/open": {
        "name": "Arsenal - Chelsea",
        "selections": [
            {"selectionId": "home", "name": "Arsenal", "price": "2.50"},
            {"selectionId": "away", "name": "Chelsea", "price": "1.60"},
        ],
        "maxStake": 10000,
        "maxStakePerPlayer": 50000,
        "maxLiability": 1000000,
        "betDelaySeconds": 1,
        "eventId": "e-1",
        "closesAt": "2090-01-01T00:00:00Z",
        "currency": "EUR",
    },
    "MarketService/setPrices": {"prices": {"home": "2.40"}},
    "MarketService/withdraw": {"selectionId": "home", "deduction": 10},
    "MarketService/settle": {"version": 1, "outcomes": _RESULT},
    "MarketFeed/take": {"type": "settle", "content": {"version": 1, "outcomes": _RESULT}},
    "MarketQuarantine/retry": {"recordId": "1"},
    "MarketQuarantine/discard": {"recordId": "1"},
    "RepairService/deposit": {"userId": "ann", "depositId": "d-1"},
    "RepairService/withdrawal": {"userId": "ann", "withdrawalId": "wd-1"},
    "RepairService/bet": {"userId": "ann", "betId": "b-1"},
    "RepairService/leg": {"marketId": "m-1", "book": 0, "page": 0, "userId": "ann", "betId": "b-1"},
    "RepairService/settlement": {"marketId": "m-1"},
    "RepairService/terms": {"marketId": "m-1"},
    "RepairService/forget": {"depositIds": ["d-1"], "reservedBefore": "2026-01-31T12:00:00Z"},
}
