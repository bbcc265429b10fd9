// Plays a finished video in headless Chromium, as a viewer's browser does, and says what happened.
//
//   node play.mjs DIRECTORY hls|dash LIBRARY
//
// DIRECTORY holds master.m3u8 and manifest.mpd, LIBRARY is hls.js or dash.all.debug.js. Serves both from a
// port of its own, drives the browser (chromium.mjs), and needs nothing but node. The page (page.html) plays from the start, seeks forward and back, and plays every level and every sound.
// Prints a line of JSON; exit status 1 where the player met a fatal error or stood still.
import { createServer } from 'node:http';
import { createReadStream, statSync } from 'node:fs';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from './chromium.mjs';

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

async function play(port, browser) {
    const page = await browser.open(`http://127.0.0.1:${port}/page.html?${kind}`);
    for (;;) {
        const report = await page.evaluate('window.report');
        if (report) return JSON.parse(report);
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
}

const server = createServer(serve).listen(0, '127.0.0.1');
await new Promise((resolve) => server.on('listening', resolve));
const browser = launch('--autoplay-policy=no-user-gesture-required');
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
await browser.close();
process.exit(status);
