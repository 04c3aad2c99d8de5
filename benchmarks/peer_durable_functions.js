// The npm package durable-functions as a peer of the replays: what its worker does with a trigger.
//
// A line in: {"case": name, "triggers": [texts], "answers": bool}; a line out: seconds per trigger
// without the first, which only warms up, and the answers if they are asked for. Around the package
// stand what the worker of Azure Functions does: JSON.parse, an InvocationContext, JSON.stringify.

"use strict";

const Module = require("node:module");
const readline = require("node:readline");

// The worker of Azure Functions offers this module; functions register themselves with it.
const handlers = {};
const core = {
    version: "4.0.0",
    hostVersion: "4.0.0",
    registerFunction(metadata, handler) {
        handlers[metadata.name] = handler;
        return { dispose() {} };
    },
    registerHook: () => ({ dispose() {} }),
    setProgrammingModel() {},
    getProgrammingModel() {},
    log() {},
};
const load = Module._load;
Module._load = (request, ...others) =>
    request === "@azure/functions-core" ? core : load(request, ...others);

const { InvocationContext } = require("@azure/functions");
const df = require("durable-functions");

df.app.orchestration("chain", function* (context) {
    let value = null;
    const count = context.df.getInput();
    for (let k = 0; k < count; k++) value = yield context.df.callActivity("step", value);
    return "done";
});

df.app.orchestration("fan_out", function* (context) {
    const tasks = [];
    const count = context.df.getInput();
    for (let k = 0; k < count; k++) tasks.push(context.df.callActivity("step", k));
    const results = yield context.df.Task.all(tasks);
    return results.length;
});

df.app.orchestration("any_loop", function* (context) {
    const tasks = [];
    const count = context.df.getInput();
    for (let k = 0; k < count; k++) tasks.push(context.df.callActivity("step", k));
    while (tasks.length) {
        const winner = yield context.df.Task.any(tasks);
        tasks.splice(tasks.indexOf(winner), 1);
    }
    return "done";
});

df.app.orchestration("events", function* (context) {
    const count = context.df.getInput();
    for (let k = 0; k < count; k++) yield context.df.waitForExternalEvent(`event${k}`);
    return "done";
});

df.app.orchestration("mixed", function* (context) {
    const count = context.df.getInput();
    for (let k = 0; k < count; k++) {
        if (k % 4 === 0) yield context.df.callActivity("step", k);
        else if (k % 4 === 1)
            yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 1000));
        else if (k % 4 === 2) yield context.df.callSubOrchestrator("child", k, `child${k}`);
        else yield context.df.waitForExternalEvent(`event${k}`);
    }
    return "done";
});

df.app.entity("entity", (context) => {
    const total = context.df.getState(() => 0) + JSON.parse(context.df.getInput());
    context.df.setState(total);
    context.df.return(total);
});

async function handle(name, text) {
    const context = new InvocationContext({ functionName: name, invocationId: "benchmark" });
    return JSON.stringify(await handlers[name](JSON.parse(text), context));
}

async function main() {
    console.log(JSON.stringify(require.resolve("durable-functions")));
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const asked = JSON.parse(line);
        const [first, ...triggers] = asked.triggers;
        const answers = [await handle(asked.case, first)];
        const began = process.hrtime.bigint();
        for (const trigger of triggers) answers.push(await handle(asked.case, trigger));
        const seconds = Number(process.hrtime.bigint() - began) / 1e9 / triggers.length;
        console.log(JSON.stringify([seconds, asked.answers ? answers.slice(1) : null]));
    }
}

main();
