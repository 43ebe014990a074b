#!/usr/bin/env python3
"""Randomised model of the log-arbitrated ownership protocol (design: shared/design/log-protocol.md).

One Kafka partition, N nodes, a session-lock service, a compactor, clients with retries.
Faults: pauses, crashes, late produce requests (zombies), lost acks, spurious producer failures, compaction.
Checks: acked writes are in the log fold exactly once; reads are linearizable against it; batches are atomic for
readers; a replay of the compacted log equals the fold of the full history.
Run: log_protocol.py [seeds] [first] [bug]; bug in: nofence noctg norepair nolease noroll nodedupe nolag earlyack

This copy has one rule more than the design's. An owner that resolves an unknown outcome takes a new ballot (rule 4), maybe without the lock: after a long pause all that
was on its way has outlived its time-out. With `nonominate` it decides under that ballot at once, and another node that has the lock answers stale reads by its lease. With
`nominated` it decides nothing before it was told that it has the lock, after the barrier had landed.

Rule 2 has the log read to its end before the barrier is sent. With `blind` it is not: reading through the barrier tells the same, and a ballot that turns out to be too low is
void. With `unread` it is read neither before nor after.
"""
import random, sys
BARRIER, DATA, BATCH = "barrier", "data", "batch"
T = 40          # session timeout, ticks
LAG = 400       # min.compaction.lag, ticks: must outlast the longest spell without a working owner
HORIZON = 120   # dedupe horizon, ticks (< LAG)
KEYS = list("abcdefgh")

class E:  # a log entry
    __slots__ = ("o","key","val","bal","kind","req","ts","fol","puts")
    def __init__(s,key,val,bal,kind,req=None,fol=None,puts=None): s.o=None;s.key=key;s.val=val;s.bal=bal;s.kind=kind;s.req=req;s.ts=0;s.fol=fol;s.puts=puts

class Fold:
    def __init__(s): s.cur=(0,0); s.kv={}; s.dirty=set(); s.torn=set(); s.done={}; s.valid=set(); s.pos=0
    def step(s,e):
        s.pos=e.o+1
        if e.bal < s.cur and BUG!="nofence":
            if e.kind==DATA: s.dirty.add(e.key)
            if e.kind==BATCH: s.dirty|=set(k for k,_ in e.puts)
            return False
        s.cur=max(s.cur,e.bal); s.valid.add(e.o)
        if e.kind==BATCH:
            for k,v in e.puts: s.put(k,v)
            s.torn=set(k for k,_ in e.puts)
        if e.kind==DATA:
            if e.fol: s.torn.discard(e.key)   # follow-up of a batch: same value, idempotent
            s.put(e.key,e.val)
        if e.req is not None: s.done[e.req]=e.ts
        return True
    def put(s,k,v):
        s.dirty.discard(k)
        if v is None: s.kv.pop(k,None)
        else: s.kv[k]=v

class World:
    def __init__(w,seed):
        w.r=random.Random(seed); w.t=0; w.log=[]; w.full=[]; w.end=0; w.cleaned=0
        w.lock=None; w.session={}    # node -> last contact
        w.flight=[]                   # (producer, entries) FIFO per producer
        w.nodes=[Node(w,i) for i in range(3)]; w.ops=[]; w.reqid=0; w.uniq=0; w.burst=w.r.choice([60,150,400]); pass
    def append(w,es):
        for e in es:
            e.o=w.end; w.end+=1; e.ts=w.t; w.log.append(e); w.full.append(e)
    def compact(w):
        lag = 0 if BUG=="nolag" else LAG
        old=[e for e in w.log if w.t-e.ts>lag]
        if not old: return
        cut=old[w.r.randrange(len(old))].o+1
        last={}
        for e in w.log:
            if e.o<cut: last[e.key]=e.o
        w.log=[e for e in w.log if e.o>=cut or last[e.key]==e.o]

class Producer:
    def __init__(p,node): p.node=node; p.q=[]; p.acks=[]; p.dead=False

class Node:
    def __init__(n,w,i): n.w=w; n.i=i; n.inc=i; n.reset()
    def reset(n):
        n.fold=Fold(); n.role="f"; n.prod=None; n.pend=[]; n.lease=-1; n.paused=0; n.wait=None; n.retake=False; n.long=False; n.sure=True; n.inc+=10; n.zk=False
    # --- session
    def contact(n):
        sent=n.w.t
        if n.w.lock==n.i or n.zk: pass
        n.w.session[n.i]=n.w.t; n.zk=True
        if n.w.lock==n.i: n.lease=sent+ (10**9 if BUG=="nolease" else int(T*0.75))
        return n.w.lock==n.i
    def read_log(n,limit=None,end=None):
        end=n.w.end if end is None else end
        c=0
        for e in n.w.log:
            if e.o>=n.fold.pos and e.o<end:
                n.fold.step(e); c+=1
                if limit and c>=limit: return
        n.fold.pos=max(n.fold.pos,end)
    def send(n,es):
        n.prod.q.append(es)
    def step(n):
        w=n.w; r=w.r
        if n.paused:
            n.paused-=1
            # what was on its way has outlived its time-out when a process wakes up
            if n.paused==0 and n.long and n.pend and n.prod: n.prod.dead=True
            return
        x=r.random()
        if x<0.004: n.paused=r.choice([5,20,60,120]); n.long=n.paused>40; return
        if x<0.010: n.die(); return
        if r.random()<0.25: held=n.contact()
        else: held=None
        if n.role=="f":
            if r.random()<0.5: n.read_log(limit=r.randrange(1,6)) if r.random()<.5 else n.read_log()
            if held is False and w.lock is None and r.random()<0.5:
                w.lock=n.i; held=True
            if held or (BUG in ("nonominate","nominated") and n.retake): n.retake=False; n.candidate(); n.sure=bool(held)
        elif n.role=="c":
            # waiting for our barrier's ack
            if n.prod.dead: n.stepdown(); n.retake=True; return
            if n.prod.acks:
                es=n.prod.acks.pop(0); b=es[0]
                if BUG=="unread": n.fold.step(b); n.fold.pos=b.o+1
                else: n.read_log(end=b.o+1)
                if n.fold.cur!=b.bal: n.stepdown(); return
                n.role="m"; n.sure=(BUG!="nominated"); n.next=b.o+1; n.pend=[]; n.over={}
                for op in n.unsure:   # outcome known now: the barrier decides
                    if op["req"] in n.fold.done and not op["done"]: n.reply(op,op["req"])
                n.unsure=[]
                if BUG!="noroll":
                    for k in sorted(n.fold.torn): n.emit(DATA,k,n.fold.kv.get(k),None,fol=True)
                n.repair()
        elif n.role=="m":
            if n.prod.dead: n.stepdown(); n.retake=True; return
            if held: n.sure=True
            while n.prod.acks:
                es=n.prod.acks.pop(0)
                for e in es:
                    if BUG!="noctg" and e.o!=n.next:
                        for g in [g for g in w.log if n.next<=g.o<e.o]: n.fold.step(g)
                        if n.fold.cur>n.bal: n.stepdown(); return
                        n.fold.pos=e.o
                    n.fold.step(e); n.next=e.o+1
                    op,_=n.pend.pop(0)
                    if op: n.reply(op,e.req)
                n.repair()
            if held is False: n.stepdown()
    def repair(n):
        if BUG=="norepair": return
        for k in sorted(n.fold.dirty):
            n.emit(DATA,k,n.look(k),None)
        n.fold.dirty=set()
    def look(n,k): return n.over[k] if k in n.over else n.fold.kv.get(k)
    def emit(n,kind,k,v,op,fol=None,puts=None,req=None):
        e=E(k,v,n.bal,kind,req,fol,puts); n.pend.append((op,e)); n.over.update(puts or {k:v}); n.buf.append(e)
        if n.w.r.random()<0.5 or not op: n.flush()
    def flush(n):
        if n.buf: n.prod.q.append(n.buf); n.buf=[]
    def candidate(n):
        if BUG not in ("blind","unread"): n.read_log()
        n.prod=Producer(n); n.bal=(n.fold.cur[0]+1,n.inc); n.buf=[]; n.over={}; n.unsure=getattr(n,"unsure",[])
        n.w.flight.append(n.prod); n.prod.q.append([E("\0epoch",None,n.bal,BARRIER)]); n.role="c"
    def stepdown(n):
        n.unsure=getattr(n,"unsure",[])+[op for op,_ in n.pend if op]; n.pend=[]
        n.role="f"; n.lease=-1
        # memory may hold nothing uncommitted: overlay is dropped
        if n.prod: n.prod.dead=True
        if n.w.r.random()<.3:
            for op in n.unsure: op["unk"]=True
            n.unsure=[]
    def die(n):
        w=n.w
        if n.prod: n.prod.dead=True
        # connections break: clients see unknown
        for op,_ in n.pend:
            if op: op["unk"]=True
        for op in getattr(n,"unsure",[]): op["unk"]=True
        n.unsure=[]
        n.reset(); n.paused=w.r.randrange(1,30)
    def reply(n,op,req):
        op["done"]=True; op["ok"]=True; op["end"]=n.w.t; op["pos_end"]=n.w.end
    # --- requests
    def handle(n,op):
        if n.paused: return False
        if n.role!="m": return False
        if BUG=="nominated" and not n.sure: return False
        w=n.w
        if op["kind"]=="read":
            v={k:n.fold.kv.get(k) for k in KEYS}
            if n.lease<w.t: return False
            if w.r.random()<.1: n.paused=w.r.choice([1,3,60]); op["slow"]=(w.t+n.paused,v,n); return True
            op.update(done=True,ok=True,val=v,pos_end=w.end,t_end=w.t); return True
        if BUG!="nodedupe":
            if op["req"] in n.fold.done and w.t-op["start"]<HORIZON: n.reply(op,op["req"]); return True
            if any(e.req==op["req"] for _,e in n.pend): return True if any(o is op for o,_ in n.pend) else False
        def upd(k): 
            if op["kind"]=="del": return None
            return (n.look(k) or ())+(op["x"],)
        if op["kind"] in("app","del"):
            n.emit(DATA,op["keys"][0],upd(op["keys"][0]),op,req=op["req"])
        else:
            puts=[(k,upd(k)) for k in op["keys"]]
            n.emit(BATCH,"\0batch",None,op,puts=puts,req=op["req"])
            for k,v in puts: n.emit(DATA,k,v,None,fol=True)
        if BUG=="earlyack": n.reply(op,op["req"])
        return True

def run(seed):
    w=World(seed); r=w.r; fails=[]
    for t in range(1500):
        w.t=t
        # session expiry
        if w.lock is not None and t-w.session.get(w.lock,-999)>T: w.lock=None
        if w.lock is not None and r.random()<0.002: w.lock=None if t-w.session.get(w.lock,0)>T else w.lock
        for n in r.sample(w.nodes,3): n.step()
        # network: producers deliver in FIFO, any delay; dead ones may still deliver what was sent (zombie), then vanish
        for p in list(w.flight):
            if p.q and r.random()<(0.5 if not p.dead else 0.05):
                if not p.dead and r.random()<0.01: p.dead=True     # ack lost / timeout
                es=p.q.pop(0); k=len(es)
                if p.dead and r.random()<0.3: k=r.randrange(0,len(es)+1)   # torn: only a prefix was sent
                w.append(es[:k])
                if k<len(es): p.q=[]
                elif not p.dead: p.acks.append(es)
            if p.dead and (not p.q or r.random()<0.02): w.flight.remove(p)
        for n in w.nodes:
            if n.role=="m" and not n.paused and n.buf and r.random()<.7: n.flush()
        if r.random()<0.05: w.compact()
        # clients
        if t<1300 and t%400<w.burst and r.random()<0.5:   # bursts, so that quiet spells outlast the lag
            k=r.choice(["app","app","app","multi","read","read","del"]) if r.random()<.9 else "read"
            w.uniq+=1
            op=dict(kind=k,req=("r",w.uniq),x=w.uniq,keys=r.sample(KEYS,2) if k=="multi" else [r.choice(KEYS)],start=t,pos0=None,done=False,ok=False,unk=False,tries=0,node=None)
            w.ops.append(op)
        for op in w.ops:
            if op.get("slow") and t>=op["slow"][0]:
                _,v,n=op.pop("slow")
                if n.lease>=t: op.update(done=True,ok=True,val=v,pos_end=w.end,t_end=t)   # read memory, then check the lease
                else: op["done"]=True
            if op["done"] or t-op["start"]>100: 
                pass
            elif not op.get("slow") and r.random()<0.3:
                pend=any(o is op for n in w.nodes for o,_ in n.pend) or any(o is op for n in w.nodes for o in getattr(n,"unsure",[]))
                if not pend: r.choice(w.nodes).handle(op)
    # truth: fold of the full history
    truth=Fold(); states=[]; applied={}
    for e in w.full:
        before=dict(truth.kv); ok=truth.step(e)
        if ok and e.kind==DATA and e.req is None and before.get(e.key)!=e.val: fails.append(f"repair or follow-up changed {e.key} at {e.o}")
        if ok and e.req is not None:
            for k,v in (e.puts or [(e.key,e.val)]):
                if v is not None and v[:-1]!=before.get(k,()): fails.append(f"lost update of {k} at {e.o}: {before.get(k)} -> {v}")
        if ok and e.req is not None: applied.setdefault(e.req,[]).append(e.o)
        states.append(dict(truth.kv) if ok else (states[-1] if states else {}))
    for op in w.ops:
        if op["kind"]!="read":
            a=applied.get(op["req"],[])
            if len(a)>1: fails.append(f"applied twice {op['req']} {a}")
            if op["ok"] and not a: fails.append(f"acked write lost {op['req']}")
            op["at"]=a[0] if a else None
    # reads: must match a state at position >= every op acked before its start, monotone with earlier reads
    done=[o for o in w.ops if o["ok"] and o["kind"]!="read" and o["at"] is not None]
    for op in w.ops:
        if op["kind"]=="read" and op["ok"]:
            lo=max([o["at"] for o in done if o["end"]<op["start"]] or [-1])
            for q in w.ops:
                if q["kind"]=="read" and q["ok"] and q.get("rmin") is not None and q["t_end"]<op["start"]: lo=max(lo,q["rmin"])
            ok=[p for p in range(lo,min(op["pos_end"],len(states))) if {k:(states[p] if p>=0 else {}).get(k) for k in KEYS}==op["val"]]
            if not ok: fails.append(f"stale read at {op['start']} lo={lo} val={op['val']}")
            else: op["rmin"]=ok[0]
    # replay of the compacted log, after a last clean takeover
    n=w.nodes[0]; n.reset(); w.lock=0
    for p in w.flight: pass
    n.read_log(); 
    if {k:n.fold.kv.get(k) for k in KEYS}!={k:truth.kv.get(k) for k in KEYS} :
        d=truth.dirty|truth.torn
        if not all(n.fold.kv.get(k)==truth.kv.get(k) or k in d for k in KEYS): fails.append("replay of compacted log differs")
    return fails,len([o for o in w.ops if o["ok"]]),sum(1 for e in w.full if e.kind==BARRIER),sum(1 for e in w.full if e.o not in truth.valid)

if __name__=="__main__":
    seeds=int(sys.argv[1]) if len(sys.argv)>1 else 500; first=int(sys.argv[2]) if len(sys.argv)>2 else 0
    BUG=sys.argv[3] if len(sys.argv)>3 else None
    bad=0; ok=bar=stale=0
    for s in range(first,first+seeds):
        f,a,b,st=run(s); ok+=a; bar+=b; stale+=st
        if f:
            bad+=1
            if bad<=5: print("seed",s,f[:3])
    print(f"bug={BUG} seeds={seeds} failing={bad} acked={ok} takeovers={bar} stale_records={stale}")
