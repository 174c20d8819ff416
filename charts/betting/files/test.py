"""The first thing a player does; exits with 1 unless it works."""

import sys

import httpx

ingress, what = sys.argv[1:]
if what == "deposit":
    answer = httpx.post(
        f"{ingress}/PaymentService/deposit",
        json={
            "walletId": "helm-test",
            "userId": "helm-test",
            "email": "helm-test@example.com",
            "amount": 1,
            "paymentMethod": "creditCard",
        },
        timeout=60,
    )
    works = answer.is_success and answer.json()["status"] == "credited"
else:
    answer = httpx.post(f"{ingress}/PlayerService/helm-test/getAccount", timeout=60)
    works = answer.is_success
print(answer.status_code, answer.text)
sys.exit(not works)
