// Headless Chromium, driven by the DevTools protocol over a pipe. Needs nothing but node.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CLOSE_MS = 10_000;

// The protocol over descriptors 3 and 4: JSON texts that end with a NUL.
function connect(browser, onEvent) {
    const waiting = new Map();
    let buffer = '', number = 0;
    browser.stdio[4].setEncoding('utf8').on('data', (text) => {
        buffer += text;
        for (let end; (end = buffer.indexOf('\0')) >= 0; buffer = buffer.slice(end + 1)) {
            const message = JSON.parse(buffer.slice(0, end));
            if (message.id === undefined) onEvent(message);
            waiting.get(message.id)?.(message);
            waiting.delete(message.id);
        }
    });
    return (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
        const id = ++number;
        waiting.set(id, ({ error, result }) =>
            error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result));
        browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0');
    });
}

export function launch(...options) {
    const profile = mkdtempSync(join(tmpdir(), 'tailslate-browser-'));
    const browser = spawn('chromium', [
        '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--mute-audio',
        '--no-first-run', `--user-data-dir=${profile}`, '--remote-debugging-pipe', ...options, 'about:blank',
    ], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    const listeners = [];
    const send = connect(browser, (event) => listeners.forEach((listener) => listener(event)));

    // onEvent gets the events of this page; enabled: their domains.
    async function open(url, onEvent = () => {}, enabled = []) {
        const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
        const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
        listeners.push((event) => event.sessionId === sessionId && onEvent(event));
        const call = (method, params) => send(method, params, sessionId);
        for (const domain of enabled) await call(`${domain}.enable`);
        await call('Page.navigate', { url });
        return {
            call,
            async evaluate(expression) {
                const { result, exceptionDetails } = await call('Runtime.evaluate', {
                    expression, awaitPromise: true, returnByValue: true,
                });
                if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
                return result.value;
            },
        };
    }
    async function close() {
        const ended = new Promise((resolve) => browser.on('exit', resolve));
        const timer = setTimeout(() => browser.kill('SIGKILL'), CLOSE_MS);
        send('Browser.close').catch(() => {});
        await ended;
        clearTimeout(timer);
        // What the browser had started may still write.
        rmSync(profile, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
    }
    return { open, close };
}
