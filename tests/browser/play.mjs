// Plays a finished video in headless Chromium, as a viewer's browser does, and says what happened.
//
//   node play.mjs DIRECTORY hls|dash LIBRARY
//
// DIRECTORY holds master.m3u8 and manifest.mpd, LIBRARY is hls.js or dash.all.debug.js. Serves both from a
// port of its own, drives the browser by the DevTools protocol over a pipe, and needs nothing but
// node. The page (page.html) plays from the start, seeks forward and back, and plays every level and every sound.
// Prints a line of JSON; exit status 1 where the player met a fatal error or stood still.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const LIMIT_MS = 180_000; // of the whole; the page waits 30 s at most for each step
const [directory, kind, library] = process.argv.slice(2);
if (!library || !['hls', 'dash'].includes(kind)) {
    console.error('usage: play.mjs DIRECTORY hls|dash LIBRARY');
    process.exit(64);
}
const types = {
    '.html': 'text/html', '.js': 'text/javascript', '.mpd': 'application/dash+xml',
    '.m3u8': 'application/vnd.apple.mpegurl', '.mp4': 'video/mp4', '.m4s': 'video/iso.segment',
};

function fileOf(path) {
    if (path === '/page.html') return join(dirname(fileURLToPath(import.meta.url)), 'page.html');
    if (path === '/library.js') return library;
    return join(directory, normalize(path));
}

function serve(request, response) {
    const path = new URL(request.url, 'http://localhost').pathname;
    const file = fileOf(path);
    try {
        const size = statSync(file).size;
        const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
        const start = range ? Number(range[1]) : 0;
        const end = range?.[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
        response.writeHead(range ? 206 : 200, {
            'Content-Type': types[extname(file)] ?? 'application/octet-stream',
            'Content-Length': end + 1 - start,
            ...(range && { 'Content-Range': `bytes ${start}-${end}/${size}` }),
        });
        createReadStream(file, { start, end }).pipe(response);
    } catch {
        response.writeHead(404).end();
    }
}

// The protocol over descriptors 3 and 4: JSON texts that end with a NUL.
function connect(browser) {
    const waiting = new Map();
    let buffer = '', number = 0;
    browser.stdio[4].setEncoding('utf8').on('data', (text) => {
        buffer += text;
        for (let end; (end = buffer.indexOf('\0')) >= 0; buffer = buffer.slice(end + 1)) {
            const message = JSON.parse(buffer.slice(0, end));
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

async function play(port, browser) {
    const send = connect(browser);
    const { targetId } = await send('Target.createTarget', {
        url: `http://127.0.0.1:${port}/page.html?${kind}`,
    });
    const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
    for (;;) {
        const { result } = await send('Runtime.evaluate', { expression: 'window.report' }, sessionId);
        if (result.value) return JSON.parse(result.value);
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
}

const profile = mkdtempSync(join(tmpdir(), 'tailslate-browser-'));
const server = createServer(serve).listen(0, '127.0.0.1');
await new Promise((resolve) => server.on('listening', resolve));
const browser = spawn('chromium', [
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--mute-audio',
    '--no-first-run', '--autoplay-policy=no-user-gesture-required', `--user-data-dir=${profile}`,
    '--remote-debugging-pipe', 'about:blank',
], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
const late = new Promise((_, reject) => setTimeout(
    () => reject(new Error(`no report within ${LIMIT_MS / 1000} s`)), LIMIT_MS));
let status = 1;
try {
    const report = await Promise.race([play(server.address().port, browser), late]);
    console.log(JSON.stringify(report));
    status = report.failure ? 1 : 0;
} catch (error) {
    console.log(JSON.stringify({ failure: error.message }));
}
browser.on('exit', () => {
    // What the browser had started may still write.
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    process.exit(status);
});
browser.kill('SIGKILL');
