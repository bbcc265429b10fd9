// The verifier's page in headless Chromium, as an operator uses it.
//
//   node page.mjs URL                     the tests; what they need is in the environment:
//       PAGE_SECRET, the admin secret; PAGE_KEY, a worker's key; PAGE_JOB, the job that it holds, at 42 %;
//       or PAGE_SECRET and PAGE_ACCESS=login
//   node page.mjs URL --screenshots DIR   DIR/page-desk.png, page-phone.png, page-dark.png
//
// Prints a line for each thing that was seen. Exit status 1 at the first that is not as it should be.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from './chromium.mjs';

const LIMIT_MS = 120_000, STEP_MS = 20_000, TABS_MAX = 60;
const [url, option, directory] = process.argv.slice(2);
if (!url || (option && (option !== '--screenshots' || !directory))) {
    console.error('usage: page.mjs URL [--screenshots DIR]');
    process.exit(64);
}
const complaints = [], foreign = [];

// What the browser itself complains about. Requests that are meant to fail: a refused login, and no network.
const meant = / 40[13] |ERR_INTERNET_DISCONNECTED/;
function onEvent({ method, params }) {
    if (method === 'Runtime.exceptionThrown') complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params.type))
        complaints.push(JSON.stringify(params.args));
    if (method === 'Log.entryAdded' && !(params.entry.source === 'network' && meant.test(params.entry.text)))
        complaints.push(params.entry.text);
    if (method === 'Audits.issueAdded' && params.issue.code === 'ContentSecurityPolicyIssue')
        complaints.push(JSON.stringify(params.issue.details));
    if (method === 'Network.requestWillBeSent' && !params.request.url.startsWith(url) && !params.request.url.startsWith('data:'))
        foreign.push(params.request.url);
}
const browser = launch();
const page = await browser.open(url, onEvent, ['Page', 'Runtime', 'Log', 'Network', 'Audits', 'Accessibility']);

function check(holds, what, seen = '') {
    if (!holds) throw new Error(`${what}: ${seen}`);
    console.log(`ok: ${what}`);
}
// expression: of the page; true at the end.
async function until(what, expression) {
    const end = Date.now() + STEP_MS;
    for (;;) {
        // The tab is empty at first, and then without its elements.
        if (await page.evaluate(`location.href !== 'about:blank' && document.readyState === 'complete' && (${expression})`)) return console.log(`ok: ${what}`);
        if (Date.now() > end) throw new Error(`${what}: not within ${STEP_MS / 1000} s; the page says: ${await page.evaluate('document.body.innerText')}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}
const keys = { Tab: [9, ''], Enter: [13, '\r'], Escape: [27, ''] };
async function press(key) {
    const [windowsVirtualKeyCode, text] = keys[key];
    await page.call('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', key, code: key, windowsVirtualKeyCode, text });
    await page.call('Input.dispatchKeyEvent', { type: 'keyUp', key, code: key, windowsVirtualKeyCode });
}
const type = (text) => page.call('Input.insertText', { text });
// By Tab alone, to the element whose text is this.
async function tabTo(text) {
    for (let i = 0; i < TABS_MAX; i++) {
        await press('Tab');
        if (await page.evaluate('document.activeElement.textContent.trim()') === text) return;
    }
    throw new Error(`Tab does not reach ${text}`);
}
const size = (width, height, mobile = false) => page.call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile });
const colors = (value) => page.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
const row = (list, text) => `[...document.querySelectorAll('#${list} > li')].find((li) => li.textContent.includes(${JSON.stringify(text)}))`;
const loaded = () => until('the page is live', `['healthy'].includes(health.textContent) || /problem/.test(health.textContent)`);

async function showsJobs() {
    await loaded();
    await until('the running job has a bar', `${row('running', 'Harbor at dawn')}?.querySelector('[role=progressbar]').ariaValueNow === '42'`);
    check(await page.evaluate(`${row('running', 'Harbor at dawn')}.querySelector('[role=progressbar] span').getBoundingClientRect().width > 10`), 'the bar is drawn');
    check(await page.evaluate(`${row('running', 'Harbor at dawn')}.textContent.includes('360p 80 %')`), 'the renditions are shown');
    check(await page.evaluate(`Boolean(${row('waiting', 'Evening news')})`), 'the waiting job is shown');
    check(await page.evaluate(`Boolean(${row('completed', 'Interview')})`), 'the completed job is shown');
    check(await page.evaluate(`document.getElementById('count-failed').textContent === '1'`), 'the failed job is counted');
    check(await page.evaluate(`Boolean(${row('workers', 'alice')})`), 'the worker is shown');
}
async function escapesTitles() {
    const hostile = '<img src=x onerror=window.hacked=1>';
    check(await page.evaluate(`${row('failed', hostile)}?.querySelector('.title').textContent === ${JSON.stringify(hostile)}`), 'a title is text');
    check(await page.evaluate('document.images.length === 0 && window.hacked === undefined'), 'no markup of a title took effect');
}
async function isLive() {
    await page.evaluate('window.marker = 1');
    const response = await fetch(new URL(`/api/worker/${process.env.PAGE_JOB}/progress`, url), {
        method: 'POST', headers: { 'X-Worker-API-Key': process.env.PAGE_KEY },
        body: JSON.stringify({ current_step: 'transcode', progress_percent: 77 }),
    });
    check(response.ok, 'the worker reports progress', response.status);
    await until('the bar moves', `${row('running', 'Harbor at dawn')}.querySelector('[role=progressbar]').ariaValueNow === '77'`);
    check(await page.evaluate('window.marker === 1'), 'without a reload');
}
async function hasRoles() {
    const { nodes } = await page.call('Accessibility.getFullAXTree', {});
    const found = new Map(nodes.filter((node) => !node.ignored).map((node) => [node.role?.value, node]));
    for (const role of ['progressbar', 'alert', 'status', 'main', 'list', 'heading'])
        check(found.has(role), `a screen reader finds a ${role}`, [...found.keys()].join(' '));
    check(found.get('progressbar').name.value === 'Progress of Harbor at dawn', 'the bar has a name', found.get('progressbar').name.value);
}
async function logsIn() {
    const actions = `[...document.querySelectorAll('.actions button')].filter((button) => button.checkVisibility())`;
    check(await page.evaluate(`${actions}.length`) === 0, 'there are no actions without a login');
    await tabTo('Log in');
    await press('Enter');
    await until('the dialog is open', `document.getElementById('login-dialog').open && document.activeElement.id === 'secret'`);
    await type('a wrong secret');
    await press('Enter');
    await until('a wrong secret is refused in words', `document.getElementById('login-error').textContent === 'This is not the admin secret.'`);
    await page.evaluate(`document.getElementById('secret').select()`);
    await type(process.env.PAGE_SECRET);
    await press('Enter');
    await until('the right one is accepted', `!document.getElementById('login-dialog').open && ${actions}.length > 0`);
    check(await page.evaluate(`localStorage.length === 0 && document.cookie === '' && !location.href.includes('secret')`), 'the secret is in no URL, cookie or lasting storage');
}
async function retries() {
    await tabTo('Retry');
    await press('Enter');
    await until('it asks first', `document.getElementById('confirm').open`);
    await tabTo('Yes');
    await press('Enter');
    await until('the job waits again', `Boolean(${row('waiting', '<img')}) && !${row('failed', '<img')}`);
    check(await page.evaluate(`document.activeElement.id === 'h-failed'`), 'the focus stays in the list', await page.evaluate('document.activeElement.outerHTML'));
}
// Enter in the field is Yes.
async function prioritizes() {
    await tabTo('Priority');
    await press('Enter');
    await until('it asks for a number', `document.getElementById('confirm').open && document.activeElement.type === 'number'`);
    await page.evaluate('document.activeElement.select()');
    await type('7');
    await press('Enter');
    await until('the job has the priority', `waiting.textContent.includes('priority 7')`);
}
async function fitsAPhone() {
    await size(360, 740, true);
    check(await page.evaluate('document.documentElement.scrollWidth <= 360'), 'a phone needs no horizontal scroll', await page.evaluate('document.documentElement.scrollWidth'));
    await size(1280, 900);
}
async function isDark() {
    const light = () => page.evaluate(`getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((part) => Number(part) > 128)`);
    await colors('light');
    check(await light(), 'it is light by day');
    await colors('dark');
    check(!await light(), 'it is dark by night');
    await colors('');
}
async function survivesAnOutage() {
    const network = (offline) => page.call('Network.emulateNetworkConditions', { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
    await network(true);
    await page.evaluate('refresh()'); // a poll that waits goes on otherwise
    await until('an outage is shown', `alarm.textContent.startsWith('The server does not answer') && Boolean(${row('running', 'Harbor at dawn')})`);
    await network(false);
    await until('and its end', `!alarm.textContent.includes('does not answer')`);
}
// Where page.access is "login".
async function asksForALogin() {
    await until('it asks for the secret', `document.getElementById('login-dialog').open && document.activeElement.id === 'secret'`);
    check(await page.evaluate(`document.getElementById('count-failed').textContent === '–'`), 'nothing is shown before');
    await type(process.env.PAGE_SECRET);
    await press('Enter');
    await loaded();
    check(await page.evaluate(`!document.getElementById('login-dialog').open`), 'everything is shown after it');
}
async function logsOut() {
    await page.evaluate(`document.getElementById('logout').click()`);
    await until('the actions are gone after the logout', `[...document.querySelectorAll('.actions button')].every((button) => !button.checkVisibility())`);
    check(await page.evaluate('sessionStorage.length') === 0, 'and so is the secret');
}

async function test() {
    await size(1280, 900);
    if (process.env.PAGE_ACCESS === 'login') return asksForALogin();
    await showsJobs();
    await escapesTitles();
    await isLive();
    await hasRoles();
    await fitsAPhone();
    await isDark();
    await survivesAnOutage();
    await logsIn();
    await retries();
    await prioritizes();
    await logsOut();
}
async function shoot() {
    const save = async (name) => {
        const { data } = await page.call('Page.captureScreenshot', { format: 'png' });
        writeFileSync(join(directory, name), Buffer.from(data, 'base64'));
    };
    await colors('light');
    await size(1200, 900);
    await loaded();
    await save('page-desk.png');
    await colors('dark');
    await save('page-dark.png');
    await colors('light');
    await size(390, 844, true);
    await save('page-phone.png');
}

const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`not done within ${LIMIT_MS / 1000} s`)), LIMIT_MS));
let status = 0;
try {
    await Promise.race([option ? shoot() : test(), late]);
    check(complaints.length === 0, 'the browser has nothing to complain about', complaints.join('\n'));
    check(foreign.length === 0, 'nothing is loaded from elsewhere', foreign.join('\n'));
} catch (error) {
    console.error(`page.mjs: ${error.message}`);
    complaints.forEach((complaint) => console.error(`page.mjs: the browser says: ${complaint}`));
    status = 1;
}
await browser.close();
process.exit(status);
