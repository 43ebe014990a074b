#!/usr/bin/env python3
"""Randomised model of the cross-partition transactions (design: shared/design/transactions.md), as the runtime carries them out.

Partitions are durable ordered logs with one owner each (log-protocol.md is taken as given); an owner crash loses what is
volatile (running transactions) and folds the log again. Messages are delayed, lost, doubled. Checks strict serializability with the
home's commit record as the serialization point, single reads and read-only transactions at some instant of their interval; and that what a client was told is so.
Run: transactions.py [seeds] [first] [bug]; bug in: noreadlock early noversion dirtyread commitdoubt volatileprepare nocheck forget noattempt doubleprepare noid nosettle

This copy differs from the design's in six things, each of which makes the runtime simpler:
- A participant keeps no list of what it has finished. So a prepare is sent once per attempt, and never again: home gives the attempt up if nobody answers. (doubleprepare: if
  one may arrive twice, the second one finds nothing, prepares, asks home, and writes again what was finished.)
- Confirmations are not written down. A new owner of home tells all participants again, and who has finished already says so.
- A read of a key that a *running* transaction of home will write does not wait: the decision is one record of that same partition. (homewait: it waits; holds as well.)
- A client is in the model: it asks home again, with the same request id, when nobody answers; runs the function again when home says that it did not happen; and gives up after
  some runs. The log keeps the answer by the request id (rule 10), so what comes again happens once (noid: it does not).
- Whoever is asked may refuse for any other reason as well: that is what claims do, by which one that has lost often wins. They are in no log and promise nothing, so nothing else of them is
  in the model.
- If home was asked and nobody knows what became of it, giving up is a record too (settle), so that what is still on its way never happens (nosettle: it does).
"""
import random, sys
P=3; KEYS=[(p,k) for p in range(P) for k in "xy"]
class Part:
    def __init__(s,w,i): s.w=w; s.i=i; s.log=[]; s.run={}; s.fold()
    def fold(s):
        s.kv={}; s.ver={}; s.prep={}; s.dec={}; s.att={}; s.known={}
        for e in s.log: s.apply(e)
    def apply(s,e):
        t=e[1]
        if e[0]=="prep": s.prep[t]=e[2]
        elif e[0]=="commit":      # home: decision, own writes, who must confirm; the answer to the request
            if e[3]: s.dec[t]=set(e[3]); s.att[t]=e[4]
            s.known[t]="ok"; s.write(e[2])
        elif e[0]=="settle": s.known[t]="abort"
        elif e[0]=="finish": s.write(s.prep.pop(t)["w"] if t in s.prep else {})
        elif e[0]=="abort": s.prep.pop(t,None)
        elif e[0]=="forget": s.dec.pop(t,None)
    def write(s,ws):
        for k,v in ws.items(): s.kv[k]=v; s.ver[k]=s.ver.get(k,0)+1
    def append(s,e):
        s.log.append(e); s.apply(e)
    def crash(s):
        if BUG=="volatileprepare": s.log=[e for e in s.log if not(e[0]=="prep" and e[1] in s.prep)]
        s.run={}; s.fold()
    def wlocked(s,k): return any(k in p["w"] for p in s.prep.values()) or (BUG=="homewait" and any(k in r["mine"]["w"] and r.get("locked") for r in s.run.values()))
    def locked(s,k,excl):
        for p in list(s.prep.values())+[r["mine"] for r in s.run.values() if r.get("locked")]:
            if k in p["w"] or (excl and k in p["r"] and BUG!="noreadlock"): return True
        return False
    def can(s,part):
        if s.w.r.random()<.03: return False
        for k,v in part["r"].items():
            if (s.ver.get(k,0)!=v and BUG!="noversion") or s.locked(k,False): return False
        return not any(s.locked(k,True) for k in part["w"])
class World:
    def __init__(w,seed): w.r=random.Random(seed); w.t=0; w.parts=[Part(w,i) for i in range(P)]; w.net=[]; w.txs=[]; w.fails=[]; w.n=0; w.att=0; w.aborts=0; w.byid={}; w.pc=w.r.choice([.006,.02,.05]); w.pd=w.r.choice([.05,.3]); w.pl=w.r.choice([.02,.2])
    def send(w,dst,msg):
        r=w.r
        for _ in range(2 if r.random()<w.pd and (msg[0] not in ("prepare","begin","answer") or BUG=="doubleprepare" and msg[0]=="prepare") else 1):
            if r.random()>w.pl: w.net.append((w.t+r.randrange(1,8 if r.random()<.9 else 60),dst,msg))
def committed(w,tx):
    w.truth=dict(w.truth); 
    for k,v in tx["reads"].items():
        if w.truth.get(k,())!=v: w.fails.append(f"tx {tx['id']} read {k}={v}, at its commit it was {w.truth.get(k,())}")
    for k,v in tx["writes"].items(): w.truth[k]=v
    tx["commits"]=tx.get("commits",0)+1
    if tx.get("told")=="abort": w.fails.append(f"tx {tx['id']} committed though told that it did not")
    if tx["commits"]>1: w.fails.append(f"tx {tx['id']} committed twice")
def commit(w,full,tx):
    full["reads"],full["writes"]=tx["reads"],tx["writes"]; committed(w,full)
def step_home(w,h,t):
    run=h.run[t]; tx=run["tx"]; full=tx; tx=run["try"]
    if not run.get("locked"):
        if h.i in tx["parts"] and not h.can(tx["parts"][h.i]): abort(w,h,t); return
        run["locked"]=True; run["mine"]=tx["parts"].get(h.i,{"r":{},"w":{}})
    need=[p for p in tx["parts"] if p!=h.i]
    ok=len(run["yes"])>=len(need) if BUG!="early" else len(run["yes"])>=max(0,len(need)-1)
    if ok:
        mine=run["mine"]; del h.run[t]
        h.append(("commit",t,mine["w"],need,run["att"])); commit(w,full,tx); w.send("client",("answer",t,run["n"],"ok"))
        for p in need: w.send(p,("finish",t,h.i,run["att"]))
def abort(w,h,t):
    run=h.run.pop(t); w.send("client",("answer",t,run["n"],"abort")); w.aborts+=1
    for p in run["try"]["parts"]:
        if p!=h.i: w.send(p,("abort",t,run["att"]))
def deliver(w,dst,m):
    if dst=="client": answer(w,m); return
    p=w.parts[dst]; k=m[0]; t=m[1] if len(m)>1 else None
    if k=="begin":
        tx=m[2]; n=m[3]; one=m[4]
        if t in p.known and BUG!="noid": w.send("client",("answer",t,n,p.known[t])); return
        if t in p.run:
            if p.run[t]["n"]>=n: return
            abort(w,p,t)
        if one is None:
            p.append(("settle",t)); w.send("client",("answer",t,n,"abort")); return
        w.att+=1; p.run[t]={"tx":tx,"try":one,"n":n,"att":w.att,"yes":set(),"at":w.t,"mine":one["parts"].get(dst,{"r":{},"w":{}})}
        if dst in one["parts"] and not p.can(one["parts"][dst]): abort(w,p,t); return
        p.run[t]["locked"]=True
        for q in one["parts"]:
            if q!=dst: w.send(q,("prepare",t,one["parts"][q],dst,p.run[t]["att"]))
        step_home(w,p,t)
    elif k=="prepare":
        att=m[4]; old=p.prep.get(t)
        if old and old["att"]==att: w.send(m[3],("yes",t,dst,att)); return
        if old and old["att"]>att: return
        if old: p.append(("abort",t))          # a newer attempt of the same home: the older one is dead
        if p.can(m[2]): p.append(("prep",t,{**m[2],"home":m[3],"att":att})); w.send(m[3],("yes",t,dst,att))
        else: w.send(m[3],("no",t,att))
    elif k=="yes":
        if t in p.run and (p.run[t]["att"]==m[3] or BUG=="noattempt"): p.run[t]["yes"].add(m[2]); step_home(w,p,t)
    elif k=="no":
        if t in p.run and (p.run[t]["att"]==m[2] or BUG=="noattempt"): abort(w,p,t)
    elif k=="abort":
        # only an answer from home, or home's own abort, may release
        if t in p.prep and (p.prep[t]["att"]==m[2] or BUG=="noattempt"): p.append(("abort",t))
    elif k=="finish":
        if t in p.prep and (p.prep[t]["att"]==m[3] or BUG=="noattempt"): p.append(("finish",t))
        w.send(m[2],("confirm",t,dst,m[3]))
    elif k=="confirm":
        if t in p.dec and p.att[t]==m[3]:
            p.dec[t].discard(m[2])
            if not p.dec[t] or BUG=="forget": p.append(("forget",t))
    elif k=="ask":
        att=m[3]
        if t in p.dec and p.att[t]==att: w.send(m[2],("finish",t,dst,att))
        elif t in p.run and p.run[t]["att"]==att: pass
        else: w.send(m[2],("finish",t,dst,att) if BUG=="commitdoubt" else ("abort",t,att))
def answer(w,m):
    tx=w.byid[m[1]]
    if tx.get("told") or tx["n"]!=m[2] or not tx["asked"]: return
    if m[3]=="ok": tx["told"]="ok"; return
    if m[3]=="abort" and tx["settling"]: tx["told"]="abort"; return
    tx["asked"]=None                     # definite: this try did not happen
    if tx["n"]<4: again(w,tx)
    elif tx["unknown"] and BUG!="nosettle": tx["settling"]=True; ask(w,tx)
    else: tx["told"]="abort"
def again(w,tx):
    tx["n"]+=1; tx["todo"]=list(tx["keys"]); tx["one"]=dict(reads={},vers={},writes={},parts={})
def ask(w,tx):
    tx["asked"]=w.t; w.send(tx["home"],("begin",tx["id"],tx,tx["n"],None if tx["settling"] else tx["one"]))
def run(seed):
    w=World(seed); r=w.r; w.truth={}; truths=[(0,{})]; ro=[]; rd=[]
    for t in range(900):
        w.t=t; before=w.truth
        due=[x for x in w.net if x[0]<=t]; w.net=[x for x in w.net if x[0]>t]; r.shuffle(due)
        for _,d,m in due: deliver(w,d,m)
        for p in w.parts:
            if r.random()<w.pc and t<850: p.crash()
            for x in list(p.run):
                if t-p.run[x]["at"]>80: abort(w,p,x)
            for x,e in list(p.prep.items()):
                if r.random()<.05: w.send(e["home"],("ask",x,p.i,e["att"]))
            for x,rest in p.dec.items():
                for q in rest:
                    if r.random()<.05: w.send(q,("finish",x,p.i,p.att[x]))
        if t<700 and r.random()<.25:   # run phase spread over time: read one key after the other
            w.n+=1; keys=r.sample(KEYS,r.choice([1,2,2,3]))
            tx=dict(id=w.n,keys=keys,n=0,start=t,home=r.randrange(P),asked=None,unknown=False,settling=False,blind=r.random()<.3,seed=r.random()); w.txs.append(tx); w.byid[w.n]=tx; again(w,tx)
        for tx in w.txs:
            if tx.get("told"): continue
            one=tx["one"]
            if tx["asked"] is not None:
                if t-tx["asked"]>100 and t<800: tx["unknown"]=True; ask(w,tx)
                continue
            if tx["todo"] and r.random()<.5:
                k=tx["todo"][0]; p=w.parts[k[0]]
                if tx["blind"]: tx["todo"].pop(0); one["writes"][k]=(-tx["id"],tx["n"])
                else:
                    if p.wlocked(k) and BUG!="dirtyread": continue
                    tx["todo"].pop(0); one["reads"][k]=p.kv.get(k,()); one["vers"][k]=p.ver.get(k,0)
                if not tx["todo"]:
                    if not tx["blind"]:
                        for k in one["reads"]:
                            if r.random()<.6: one["writes"][k]=one["reads"][k]+(tx["id"],)
                        if not one["writes"]: one["writes"][next(iter(one["reads"]))]=one["reads"][next(iter(one["reads"]))]+(tx["id"],)
                    for k in tx["keys"]:
                        part=one["parts"].setdefault(k[0],{"r":{},"w":{}})
                        if k in one["vers"]: part["r"][k]=one["vers"][k]
                        if k in one["writes"]: part["w"][k]=one["writes"][k]
                    ask(w,tx)
        # single reads
        if r.random()<.3: rd.append([t,r.choice(KEYS)])
        for x in list(rd):
            p=w.parts[x[1][0]]
            if r.random()<.5 and (BUG=="dirtyread" or not p.wlocked(x[1])):
                v=p.kv.get(x[1],()); rd.remove(x)
                if not any(s.get(x[1],())==v for s in window(truths,x[0],t,w.truth)): w.fails.append(f"stale read {x} {v}")
        # read-only transactions: collect, then check
        if r.random()<.15: ro.append(dict(start=t,todo=list(KEYS) if r.random()<.5 else r.sample(KEYS,3),v={},n={},chk=None))
        for o in list(ro):
            if r.random()<.5: continue
            if o["todo"]:
                k=o["todo"][0]; p=w.parts[k[0]]
                if p.wlocked(k) and BUG!="dirtyread": continue
                o["todo"].pop(0); o["v"][k]=p.kv.get(k,()); o["n"][k]=p.ver.get(k,0)
                if not o["todo"]: o["chk"]=list(o["v"])
            elif o["chk"] and BUG!="nocheck":
                k=o["chk"].pop(0); p=w.parts[k[0]]
                if p.ver.get(k,0)!=o["n"][k] or p.wlocked(k): o.update(todo=list(o["v"]),v={},n={},chk=None)
            if o["chk"] is not None and (not o["chk"] or BUG=="nocheck"):
                ro.remove(o)
                if not any(all(s.get(k,())==v for k,v in o["v"].items()) for s in window(truths,o["start"],t,w.truth)): w.fails.append(f"read-only tx saw no instant {o['start']}..{t}")
        if w.truth is not before: truths.append((t,w.truth))
    # at the end nothing stays in doubt and every partition equals the truth
    live={k:v for k,v in w.truth.items()}
    for x in w.txs:
        if x.get("told")=="ok" and not x.get("commits"): w.fails.append(f"tx {x['id']} told ok, never committed")
    for p in w.parts:
        if not p.prep:
            for k in KEYS:
                if k[0]==p.i and p.kv.get(k,())!=live.get(k,()): w.fails.append(f"end state {k}")
    return w.fails,sum(1 for x in w.txs if x.get("commits")),w.aborts,sum(len(p.prep) for p in w.parts)
def window(truths,a,b,now):
    out=[now]; 
    for i in range(len(truths)-1,-1,-1):
        out.append(truths[i][1])
        if truths[i][0]<a: break
    return out
if __name__=="__main__":
    seeds=int(sys.argv[1]) if len(sys.argv)>1 else 300; first=int(sys.argv[2]) if len(sys.argv)>2 else 0; BUG=sys.argv[3] if len(sys.argv)>3 else None
    bad=c=a=d=0
    for s in range(first,first+seeds):
        f,x,y,z=run(s); c+=x; a+=y; d+=z
        if f:
            bad+=1
            if bad<=4: print("seed",s,f[:2])
    print(f"bug={BUG} seeds={seeds} failing={bad} commits={c} aborts={a} left_in_doubt={d}")
