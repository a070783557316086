#!/usr/bin/env python3
# ruff: noqa: B905, BLE001, D103, D209, E401, E501, E701, EXE001, FURB116, I001, PTH123, RUF021, T201
# fmt: off
"""Check a proof of what somebody earned: python3 check_proof.py VERIFIER-KEY PROOF-FILE (Python 3.11, nothing else).

Shares no code with what made the file. Every step must hold; the first that does not ends it with REFUSED and exit code
1. docs/checker.md has the format, and says what a proof cannot show."""
import base64, hashlib, json, sys, tomllib
PPM, MINED = 10**6, ["task.created.v1", "consensus.reached.v1", "output.submitted.v1", "vwu.assigned.v1",
                     "validation.submitted.v1", "correction.v1"]  # the entries of a task, in the order of their use
WAYS = {  # of each role and kind: the number of its leg, then what divides it
    "miner work": "0 work", "staker stake": "1 stake", "validator commission": "2 judgements commission",
    "validator no_delegators": "2 judgements commission", "delegator delegation": "2 judgements commission stake",
    "owner owner": "3 owner", "creator royalty": "4 usage royalty", "creator backing": "4 usage royalty",
    "backer backing": "4 usage royalty shares", "foundation fixed": "5 foundation"}
STAKE = {  # of each event: which words are the target, its type and the amount, and the amount's sign
    "Staked": [(1, 2, 3, 1)], "UnstakeRequested": [(1, 2, 3, -1)], "Redelegated": [(1, 3, 5, -1), (2, 4, 5, 1)]}
def need(holds, step):
    if not holds: sys.exit(print("REFUSED:", step) or 1)
def num(data): return int.from_bytes(data, "big")
def sha(data): return hashlib.sha256(data).digest()
def keccak(data):  # as Ethereum has it: FIPS 202's permutation, and the padding from before it
    def turned(lane, by): return (lane << by % 64 | lane >> 64 - by % 64) & (1 << 64) - 1
    a, padded = [0] * 25, bytearray(data + b"\1" + bytes(135 - len(data) % 136))
    padded[-1] |= 128
    for start in range(0, len(padded), 136):
        for i in range(17): a[i] ^= int.from_bytes(padded[start + 8 * i:start + 8 * i + 8], "little")
        lfsr = 1
        for _ in range(24):
            c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
            a = [a[i] ^ c[(i + 4) % 5] ^ turned(c[(i + 1) % 5], 1) for i in range(25)]
            x, y, lane = 1, 0, a[1]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                lane, a[x + 5 * y] = a[x + 5 * y], turned(lane, (t + 1) * (t + 2) // 2)
            a = [a[i] ^ ~a[i - i % 5 + (i + 1) % 5] & a[i - i % 5 + (i + 2) % 5] for i in range(25)]
            for j in range(7):
                a[0] ^= (lfsr & 1) << (1 << j) - 1
                lfsr = lfsr << 1 ^ (lfsr >> 7) * 0x171
    return b"".join(lane.to_bytes(8, "little") for lane in a[:4])
def ed25519(key, message, signature):  # whether it is one over the message (RFC 8032, plain coordinates)
    p, order = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
    d = -121665 * pow(121666, -1, p) % p
    def point(data):
        y, odd = int.from_bytes(data, "little") & (1 << 255) - 1, data[31] >> 7
        square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        x = pow(square, (p + 3) // 8, p)
        x = x if x * x % p == square else x * pow(2, (p - 1) // 4, p) % p
        need(len(data) == 32 and y < p and x * x % p == square and (x or not odd), "a point is one of the curve")
        return (x if x % 2 == odd else p - x, y)
    def add(one, other):
        k = d * one[0] * other[0] * one[1] * other[1]
        return ((one[0] * other[1] + one[1] * other[0]) * pow(1 + k, -1, p) % p,
                (one[1] * other[1] + one[0] * other[0]) * pow(1 - k, -1, p) % p)
    def times(factor, base, found=(0, 1)):
        for bit in bin(factor)[2:]: found = add(add(found, found), base if bit == "1" else (0, 1))
        return found
    s, base = int.from_bytes(signature[32:], "little"), point((4 * pow(5, -1, p) % p).to_bytes(32, "little"))
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % order
    return s < order and times(s, base) == add(point(signature[:32]), times(challenge, point(key)))
def root_of(leaf, index, size, path):  # to which hashes lead in a tree of so many leaves (RFC 6962, section 2.1.1)
    if size == 1: return need(not path, "a way has no hash too many") or sha(b"\0" + leaf)
    left = 1 << (size - 1).bit_length() - 1  # leaves of the left half: the largest power of two below the size
    if index < left: return sha(b"\1" + root_of(leaf, index, left, path[:-1]) + path[-1])
    return sha(b"\1" + path[-1] + root_of(leaf, index - left, size - left, path[:-1]))
def decode(leaf):  # position, chain, who says it, event, words of a log or data of a task event (docs/proofs.md)
    at, is_log, texts = 126 + 32 * leaf[125] if leaf[0] == 1 else 138, leaf[0] == 1, []
    while not is_log and len(texts) < 3:  # producer, event id, event type, each behind its length
        texts, at = [*texts, leaf[at + 2:at + 2 + num(leaf[at:at + 2])].decode()], at + 2 + num(leaf[at:at + 2])
    data = leaf[at + 5:]
    need(leaf[at] == 0 and num(leaf[at + 1:at + 5]) == len(data), "an entry has its data in full")
    words = [leaf[i:i + 32] for i in range(126, at, 32)] + [data[i:i + 32] for i in range(0, len(data), 32)]
    return (num(leaf[1:9]), num(leaf[9:17]), *(("0x" + leaf[105:125].hex(), words[0], words[1:]) if is_log else
            (texts[0], texts[2].removeprefix("ai.deepnode."), json.loads(data)["data"])))
def divided(total, weights, by=""):  # largest remainder, ties to the lower key; of a commission, the rest has what is left
    whole = sum(weights.values())
    left = total - sum(total * weight // whole for weight in weights.values())
    ranked = ["01"] if by == "commission" else sorted(weights, key=lambda key: (-(total * weights[key] % whole), key))
    return {key: (total * w // whole + (key in ranked[:left]), int(key in ranked[:left])) for key, w in weights.items()}
def log(p, vkey):  # the entries of the file, each of which is in the tree that the log's key has signed
    (origin, key_id, key), (text, _, lines) = vkey.split("+", 2), p["checkpoint"].rpartition("\n\n")
    key, (first, size, root, *_) = base64.b64decode(key), text.split("\n")
    given = [base64.b64decode(line.split(" ")[2]) for line in lines.split("\n") if line.startswith(f"\u2014 {origin} ")]
    signed = [ed25519(key[1:], text.encode() + b"\n", each[4:]) for each in given if each[:4].hex() == key_id]
    need(signed and all(signed) and first == origin, "the checkpoint is signed by the log's key")
    events, hashes = {}, [base64.b64decode(each, validate=True) for each in p["hashes"]]
    kinds = {keccak(each["signature"].encode()): each for each in p["contracts"]}  # nobody has two texts of one hash
    for each in p["events"]:
        leaf = base64.b64decode(each["entry"], validate=True)
        position, chain, who, event, said = decode(leaf)
        found = root_of(leaf, position - 1, int(size), [hashes[place] for place in each["path"]])
        need(found == base64.b64decode(root) and position == each["position"], f"entry {each['position']} is in it")
        if leaf[0] == 1: kind, event = kinds[event], kinds[event]["signature"].partition("(")[0]
        need(chain == p["chain"] and (leaf[0] == 2 or who in kind["addresses"]), f"entry {position} is of its contract")
        events[position] = event, said
    print(f"ok: {len(events)} entries are among the {size} that {origin} has signed")
    return events
def tallied(p, pool, rules, at):  # VWU x difficulty of nodes and models, difficulty of judgements in line, by id
    tally, counted = {"work": {}, "judgements": {}, "usage": {}}, set()
    def add(by, of, amount): tally[by][of[2:]] = tally[by].get(of[2:], 0) + amount * difficulty
    for each in pool["credited"] + pool["judged"]:
        (task,), (agreed,), outputs, vwus, votes, right = ([at(n, name) for n in each.get(name, ())] for name in MINED)
        last, key = max(each.get(MINED[3], each[MINED[1]])), (task["task"], agreed["attempt"])
        need({(said["task"], said.get("attempt", key[1])) for said in (agreed, *outputs, *vwus, *votes, *right)} == {key}
             and task["domain"] == pool["domain"] and p["opened"] < last < p["closed"] and last not in counted
             and all(n < p["closed"] for n in each.get(MINED[5], ())), f"entry {last} counts in the epoch, once")
        counted.add(last)
        difficulty = [task, *(said for said in right if "difficulty_ppm" in said)][-1]["difficulty_ppm"]
        good = agreed["accepted"]
        for vote in votes: add("judgements", vote["validator"], (vote["verdict"] == "correct") == (vote["slot"] in good))
        if not vwus: continue
        need([(o["slot"], o["node"]) for o in outputs] == [(v["slot"], v["node"]) for v in vwus]
             and sorted(v["slot"] for v in vwus) == good and each[MINED[2]] == sorted(each[MINED[2]]), f"all of {last}")
        units = [[v, *(said for said in right if "vwu" in said and said["slot"] == v["slot"])][-1]["vwu"] for v in vwus]
        if rules["credit"] == "first": units = units[:1] + [0] * len(units[1:])
        if rules["credit"] == "split": units = next(zip(*divided(sum(units) // len(units), dict(enumerate(units))).values()))
        for vwu, unit in zip(vwus, units): add("work", vwu["node"], unit), add("usage", task["model"], unit)
    return tally
def weights(p, d, events, at):  # of a division, made again from the entries that it names: {key: weight}
    by, subject, found, rules = d["by"], d["subject"][2:], {}, p["rules"]["emission"]
    set_ = at(d["set"], d["event"]) if d["event"] else [bytes.fromhex(subject), *[b""] * 11]
    need(set_[0].hex() == subject and (by != "legs" or num(set_[11]) <= p["epoch"]), f"{d['set']} is of {subject}")
    if by == "legs": return {f"{leg:02x}": w for leg, w in enumerate([*map(num, set_[6:11]), rules["foundation_ppm"]])}
    if by == "commission": return {"00": num(set_[2]), "01": PPM - num(set_[2])}
    if by == "royalty": return {"00": num(set_[4]), "01": num(set_[3])} if any(set_[3] + set_[4]) else {"00": 1}
    if by == "owner": return {set_[2 if d["event"] == "DomainOwnerChanged" else 1].hex()[24:]: 1}
    if by == "foundation": return {p["foundation"][2:]: 1}
    if by == "shares": return {share["key"]: int(share["weight"]) for share in d["shares"]}  # stated: docs/checker.md
    for name, words in [events[position] for position in d.get("events", ()) if position < p["opened"]]:
        for target, kind, amount, sign in STAKE[name]:
            if (words[target].hex(), num(words[kind])) == (subject, d["target_type"]):
                key = words[0].hex()[24:] + (subject if d["target_type"] == 4 else "")
                found[key] = found.get(key, 0) + sign * num(words[amount])
    for share in d["shares"] if by != "stake" else ():
        words = at(share["registered"], "ModelRegistered" if by == "usage" else "Registered")
        thing, tally = words[by != "usage"].hex(), p["tallies"][d["subject"]][by]
        found[words[2].hex()[24:] + thing] = tally.get(thing, 0) * share.get("relevance", 1)
    return found
def claimed(p, claim, at):  # what a root of the chain entitles the earner to, all epochs up to its own: {epoch: amount}
    word, earned = at(claim["submitted"], "RootSubmitted"), {epoch: int(amount) for epoch, amount in claim["earned"]}
    earner, asset = (bytes.fromhex(each[2:].rjust(64, "0")) for each in (p["earner"], p["asset"]["address"]))
    node = keccak(keccak(earner + asset + int(claim["cumulative"]).to_bytes(32, "big")))
    for each in claim["proof"]: node = keccak(b"".join(sorted((node, bytes.fromhex(each[2:])))))
    need((num(word[0]), word[1], word[2]) == (claim["epoch"], node, asset) and max(earned) <= claim["epoch"]
         and sum(earned.values()) == int(claim["cumulative"]), f"the root of epoch {claim['epoch']} entitles to it")
    return earned
def check(vkey, path):  # the whole proof, from the log's key to the amount
    with open(path, "rb") as file: p = json.loads(file.read(64 << 20))
    told, digest, spec = p["ruleset"], p.pop("digest"), sha(p["ruleset"]["rules"].encode())
    text = json.dumps(p, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    need(p["format"] == "deepnode.proof/1" and digest == "sha256:" + sha(text).hex(), "the file is whole")
    events, toml, rules = log(p, vkey), tomllib.loads(told["toml"]), json.loads(told["rules"])
    def at(place, name): return need(events.get(place, "?")[0] == name, f"entry {place} is {name}") or events[place][1]
    active = at(told["activated"], "RulesetActivated") if told["activated"] else (b"", spec, b"")
    need(all({k: v for k, v in rules[each].items() if v is not None} == toml[each] for each in rules if each != "format")
         and told["hash"] == "0x" + spec.hex() and active[1] in (spec, *(keccak(each.encode()) for each in toml["aliases"]))
         and num(active[2]) <= p["epoch"] and (told["activated"] or told["name"] == "default"), "the ruleset is in force")
    need([num(at(p[name], "EpochOpened")[0]) - p["epoch"] for name in ("opened", "closed")] == [0, 1], "the epoch is over")
    print(f"ok: epoch {p['epoch']}, entries {p['opened']} to {p['closed']}, by ruleset {told['name']}, {told['hash']}")
    p["rules"], p["tallies"], facts, total, parts = rules, {}, {}, 0, []
    for pool in p["pools"]:
        epoch, domain, asset, *amounts = at(pool["allocated"], "EpochAllocated")
        need((num(epoch), domain.hex(), asset.hex()[24:]) == (p["epoch"], pool["domain"][2:], p["asset"]["address"][2:]),
             f"entry {pool['allocated']} is of the pool")
        facts[pool["domain"]], p["tallies"][pool["domain"]] = [*map(num, amounts)], tallied(p, pool, rules["work"], at)
    for place, d in enumerate(p["divisions"]):
        d["given"] = {share["key"]: int(share["weight"]) for share in d["shares"]}
        made = {key: weight for key, weight in weights(p, d, events, at).items() if weight}
        need(d["given"] == made and sorted(made) == [each["key"] for each in d["shares"]], f"weights of division {place}")
        parts.append(divided(int(d["of"]), made, d["by"]))
        if d["by"] == "legs":  # what nobody has earned stays undistributed, or is the foundation's, as the rules say
            legs, fact = [parts[-1].get(f"{leg:02x}", (0,))[0] for leg in range(6)] + [0], facts[d["subject"]]
            free = [leg for leg in range(5) if not fact[leg]]
            legs[5 if rules["emission"]["empty_pool"] == "foundation" else 6] += sum(legs[leg] for leg in free)
            need([0 if n in free else leg for n, leg in enumerate(legs)] == fact and sum(fact) == int(d["of"]), "the legs")
    for line in p["lines"]:
        (legs, leg), *way = line["way"]
        left, path, holder = facts[line["domain"]][int(leg)], [], ""
        by = [str(int(leg)), *(p["divisions"][place]["by"] for place, _ in way)]
        need(by == WAYS[f"{line['role']} {line['kind']}"].split() and p["divisions"][legs]["subject"] == line["domain"], by)
        for place, key in way:
            d, (amount, extra) = p["divisions"][place], parts[place][key]
            need(int(d["of"]) == left and d["subject"] in (line["domain"], line["subject"]), f"what division {place} divides")
            path.append(f"{left} * {d['given'][key]} / {sum(d['given'].values())} + {extra}")
            left, holder = amount, key if len(key) > 2 else holder
        need(("; ".join(path), str(left), "0x" + holder[:40]) == (line["path"], line["amount"], p["earner"]), line["path"])
        total += print(f"ok: {line['role']} ({line['kind']}) {line['path']} = {left}") or left
    need(total == int(p["amount"]), "the lines are the amount")
    now, before = (claimed(p, p[name], at) if p[name] else {} for name in ("claim", "before"))
    need(not now or now[p["epoch"]] == total and all(now[each] >= before[each] for each in before), "the claim has it")
    if told := p["statement"]:
        held = {(each["account"], each["token"]["address"]): int(each["opening"]) for each in told["balances"]}
        for line in told["lines"]:
            held[line["account"], line["token"]["address"]] += int(line["amount"])
            need(held[line["account"], line["token"]["address"]] == int(line["balance"]), f"line {line['position']}")
        need([*held.values()] == [int(each["closing"]) for each in told["balances"]], "opening + lines = closing")
    if not now: print("note: no root on the chain entitles to it yet")
    print(f"VERIFIED: {p['earner']} has earned {total} base units of {p['asset']['symbol']} for epoch {p['epoch']}")
try: check(*sys.argv[1:])
except Exception as error: sys.exit(print(f"REFUSED: the file is malformed: {error!r:.200}") or 1)
