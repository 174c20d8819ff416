"""Services in versions, for tests of shipping them; the environment says which."""

import os
from datetime import timedelta

import restate
from restate.retry_policy import InvocationRetryPolicy
from restate.serde import BytesSerde

version = os.environ["VERSION"]
till = restate.VirtualObject("Till")
greeter = restate.Service("Greeter") if version != "retyped" else restate.VirtualObject("Greeter")


@till.handler()
async def hold(ctx: restate.ObjectContext) -> str:
    await ctx.sleep(timedelta(hours=1), name="closing time")
    return version


@till.handler()
async def stumble(ctx: restate.ObjectContext) -> str:
    await ctx.run_typed("look", lambda: version)
    if version != "fixed":
        raise ValueError("the till is stuck")
    return version


@till.handler(
    name="failPatiently",
    invocation_retry_policy=InvocationRetryPolicy(initial_interval=timedelta(hours=1), max_attempts=2),
)
async def fail_patiently(ctx: restate.ObjectContext) -> str:
    await ctx.run_typed("look", lambda: version)
    raise ValueError("the till is stuck")


@greeter.handler()
async def greet(ctx: restate.Context) -> str:
    return version


choosy = version == "choosy"


@greeter.handler(
    accept="application/json" if choosy else "*/*",
    input_serde=BytesSerde(),
    metadata={"shop.roles": "regular" if choosy else "guest,regular", "shop.owner": "key" if choosy else ""},
)
async def order(ctx: restate.Context, dish: bytes) -> str:
    return version


if not choosy:

    @greeter.handler(ingress_private=True, input_serde=BytesSerde())
    async def listen(ctx: restate.Context, record: bytes) -> str:
        return version


app = restate.app([till] if version == "dropped" else [till, greeter])
