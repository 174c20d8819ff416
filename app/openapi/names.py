"""What the description calls things: the operations, which clients have as methods, and the keys in addresses."""

from app.services.shell.access import PublicHandler

ID = r"^(?!\.{1,2}$)[A-Za-z0-9._:@-]{1,64}$"

SERVICES = {
    "PaymentService": "Deposits and withdrawals, and the payment provider's events.",
    "DepositFollowUp": "What became of a deposit.",
    "WithdrawalWorkflow": "The review of a withdrawal, and what became of it.",
    "PlayerService": "A player's account, bets, limits and restrictions.",
    "MarketService": "Markets: their prices, and their results.",
    "MarketFeed": "Records for a market, in the order in which they are sent.",
    "MarketQuarantine": "Records that could not be applied to their market.",
    "SettlementWorkflow": "How far a result has reached the bets.",
    "RepairService": "Restarts work that was left unfinished. Harmless at any time.",
}
"""The services, in the order in which a reader wants them."""

KEYS = {
    "DepositFollowUp": "depositId",
    "WithdrawalWorkflow": "withdrawalId",
    "PlayerService": "userId",
    "MarketService": "marketId",
    "MarketFeed": "marketId",
    "MarketQuarantine": "marketId",
    "SettlementWorkflow": "settlementId",
}
PATTERNS = {"settlementId": r"^[A-Za-z0-9._:@-]{1,64}:[1-9][0-9]{0,15}$"}
"""Of the keys that are not simply an id: a settlement's is its market's, and the version of the result."""

_OPERATIONS = {
    "PaymentService/webhook": "receiveProviderEvent",
    "DepositFollowUp/webhook": "receiveDepositEvent",
    "DepositFollowUp/status": "getDepositStatus",
    "DepositFollowUp/cancel": "cancelDeposit",
    "WithdrawalWorkflow/approve": "approveWithdrawal",
    "WithdrawalWorkflow/reject": "rejectWithdrawal",
    "WithdrawalWorkflow/status": "getWithdrawalStatus",
    "PlayerService/audit": "auditPlayer",
    "MarketService/open": "openMarket",
    "MarketService/suspend": "suspendMarket",
    "MarketService/resume": "resumeMarket",
    "MarketService/close": "closeMarket",
    "MarketService/withdraw": "withdrawSelection",
    "MarketService/settle": "settleMarket",
    "MarketService/get": "getMarket",
    "MarketService/prices": "getMarketPrices",
    "MarketService/liability": "getMarketLiability",
    "MarketFeed/take": "sendRecord",
    "MarketQuarantine/list": "listRecords",
    "MarketQuarantine/retry": "retryRecord",
    "MarketQuarantine/discard": "discardRecord",
    "SettlementWorkflow/progress": "getSettlementProgress",
    "RepairService/deposit": "repairDeposit",
    "RepairService/withdrawal": "repairWithdrawal",
    "RepairService/bet": "repairBet",
    "RepairService/leg": "repairLeg",
    "RepairService/settlement": "repairSettlement",
    "RepairService/terms": "repairTerms",
    "RepairService/forget": "forgetDeposits",
}
"""The operations that are not called as their handler is: its name alone would not tell them from others."""


def operation_id(handler: PublicHandler) -> str:
    """The name of an operation. It is part of the contract, because a generated client has it as its method's name."""
    return _OPERATIONS.get(f"{handler.service}/{handler.handler}", handler.handler)


def key_name(handler: PublicHandler) -> str:
    """What the key in a handler's address is. Raises ValueError for a service that has no name for its key."""
    if handler.service not in KEYS:
        raise ValueError(f"{handler.service}: its key needs a name in KEYS")
    return KEYS[handler.service]


def key_pattern(name: str) -> str:
    """What a key looks like."""
    return PATTERNS.get(name, ID)


def path(handler: PublicHandler) -> str:
    """The address of an operation, with the name of its key in braces."""
    return handler.path.format(key=f"{{{key_name(handler)}}}") if handler.keyed else handler.path
