import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  act, answerWithProblem, chooseDie, diceShown, launch, openPage, rollMany, rollOnce, textOf, waitForText,
} from './support.js';

const kTrace = '4bf92f3577b34da6a3ce929d0e0e4736';
const kLongName = 'a_die_with_a_name_of_fifty_characters_0123456789_x';

// Every text on the page with the contrast of its colour against what is behind it (WCAG 2.2, 1.4.3).
function contrasts() {
  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (node) => {
    if (!node) return [255, 255, 255];
    return over(parse(getComputedStyle(node).backgroundColor), background(node.parentElement));
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !node.checkVisibility() || node.closest('.quiet, noscript, :disabled, .die')) continue;
    const style = getComputedStyle(node);
    const behind = background(node);
    const ink = over(parse(node.closest('svg') ? style.fill : style.color), behind);
    const [light, dark] = [luminance(ink), luminance(behind)].sort((a, b) => b - a);
    found.push({ text, contrast: (light + 0.05) / (dark + 0.05) });
  }
  return found;
}

const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// Lets the page know `risky` by another name.
async function offer(page, name) {
  const asRisky = (route) => route.continue({ url: route.request().url().replace(name, 'risky') });
  await page.route('**/dice', (route) => route.fulfill({ json: { dice: ['fair', name] } }));
  for (const url of [`**/dice/${name}`, `**/roll?die=${name}`, `**/roll-async?die=${name}&*`]) await page.route(url, asRisky);
}

async function breakRolls(page) {
  for (const url of ['**/dice', '**/roll?*']) await answerWithProblem(page, url, { type: 'die-service-unreachable', trace: kTrace });
  await act(page, () => page.click('#roll-once'));
  await page.fill('#times', '0');
}

describe('Looks and access', () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  for (const width of [320, 360, 768, 1280]) {
    test(`nothing scrolls sideways at ${width} pixels, even with the longest name of a die`, async (t) => {
      const { page } = await openPage(t, browser, { viewport: { width, height: 740 }, prepare: (fresh) => offer(fresh, kLongName) });
      assert.equal(await overflow(page), 0, 'at first');
      await chooseDie(page, kLongName);
      await rollMany(page, 1000);
      assert.equal(await overflow(page), 0, 'with a thousand results');
      await breakRolls(page);
      assert.equal(await overflow(page), 0, 'with errors');
      const cut = await page.evaluate(() => [...document.querySelectorAll('main *, header *')]
        .filter((node) => node.checkVisibility() && !node.closest('.quiet') && node.getBoundingClientRect().right > innerWidth + 0.5)
        .map((node) => node.outerHTML.slice(0, 80)));
      assert.deepEqual(cut, []);
    });
  }

  test('on a phone what is pressed is big enough for a finger', async (t) => {
    const { page } = await openPage(t, browser, { viewport: { width: 360, height: 740 }, hasTouch: true });
    await rollOnce(page);
    for (const selector of ['#die', '#roll-once', '#times', '#roll-many']) {
      assert.ok((await page.locator(selector).boundingBox()).height >= 44, selector);
    }
    for (const button of await page.locator('button.small:visible').all()) {
      const { width, height } = await button.boundingBox();
      assert.ok(width >= 24 && height >= 24, await button.innerText());
    }
  });

  for (const colorScheme of ['light', 'dark']) {
    test(`every text can be read in ${colorScheme} mode`, async (t) => {
      const { page } = await openPage(t, browser, { colorScheme });
      const check = async (state) => {
        const texts = await page.evaluate(contrasts);
        assert.ok(texts.length > 40, `only ${texts.length} texts found`);
        assert.deepEqual(texts.filter(({ contrast }) => contrast < 4.5), [], state);
      };
      await chooseDie(page, 'extreme');
      await rollMany(page, 60);
      await check('after rolling');
      await breakRolls(page);
      await check('in an outage');
    });
  }

  test('dark mode is dark and light mode is light', async (t) => {
    const brightness = async (colorScheme) => {
      const { page } = await openPage(t, browser, { colorScheme });
      return page.evaluate(() => {
        const mean = (color) => color.match(/\d+/g).slice(0, 3).reduce((sum, c) => sum + Number(c), 0) / 3;
        const style = getComputedStyle(document.body);
        return { behind: mean(style.backgroundColor), ink: mean(style.color) };
      });
    };
    const light = await brightness('light');
    const dark = await brightness('dark');
    assert.ok(light.behind > 200 && light.ink < 80, JSON.stringify(light));
    assert.ok(dark.behind < 50 && dark.ink > 200, JSON.stringify(dark));
  });

  test('everything can be done by keyboard, in the order of the page, with a focus that shows', async (t) => {
    const { page } = await openPage(t, browser, { permissions: ['clipboard-read', 'clipboard-write'] });
    const focused = () => page.evaluate(() => {
      const style = getComputedStyle(document.activeElement);
      return { id: document.activeElement.id, ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 };
    });
    const order = [];
    for (let i = 0; i < 4; ++i) {
      await page.keyboard.press('Tab');
      const { id, ring } = await focused();
      assert.ok(ring, `no focus to be seen on ${id}`);
      order.push(id);
    }
    assert.deepEqual(order, ['die', 'roll-once', 'times', 'roll-many']);

    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('8');
    await act(page, () => page.keyboard.press('Enter'));
    assert.equal((await diceShown(page)).length, 8);
    assert.equal((await focused()).id, 'times', 'the focus stays');

    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.type('ris');
    await waitForText(page, '#die-facts', /^Faces 2, 3/);
    assert.equal(await page.inputValue('#die'), 'risky');

    await page.keyboard.press('Tab');
    await act(page, () => page.keyboard.press('Space'));
    assert.match(await textOf(page, '#outcome-text'), /^The (risky die rolled [2-7]|roll failed\.)$/);
    assert.equal((await focused()).id, 'roll-once', 'the focus stays');

    for (let i = 0; i < 3; ++i) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await waitForText(page, '#outcome-trace button', /^Copied$/);
  });

  test('many results can be scrolled by keyboard', async (t) => {
    const { page } = await openPage(t, browser);
    await rollMany(page, 1000);
    await page.focus('#roll-many');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'felt');
    assert.equal(await page.getAttribute('#felt', 'tabindex'), '0', 'not every browser lets a scrolling part have the focus by itself');
    await page.keyboard.press('End');
    await page.waitForFunction(() => document.querySelector('#felt').scrollTop > 0);
  });

  test('results and errors are announced, and every control has a name', async (t) => {
    const { page } = await openPage(t, browser);
    await breakRolls(page);
    assert.match(await textOf(page, '[role=status] #outcome-text'), /^die-service cannot be reached\./);
    assert.match(await textOf(page, '#times-hint[role=status]'), /^Enter a whole number/);
    await page.unrouteAll();
    await rollOnce(page);
    assert.match(await textOf(page, '[role=status] #outcome-text'), /rolled/);
    const unnamed = await page.evaluate(() => [...document.querySelectorAll('button, select, input, a, [role=img]')]
      .filter((node) => !(node.labels?.length || node.textContent.trim() || node.getAttribute('aria-label')))
      .map((node) => node.outerHTML));
    assert.deepEqual(unnamed, []);
    assert.match(await page.getAttribute('#histogram', 'aria-label'), /face \d: 1 times, 100 %, expected/);
    const ids = await page.evaluate(() => [...document.querySelectorAll('[id]')].map((node) => node.id));
    assert.equal(new Set(ids).size, ids.length, 'ids are unique');
  });

  test('with forced colours the dice and the marks of the services are still to be seen', async (t) => {
    const { page } = await openPage(t, browser, { forcedColors: 'active' });
    await rollOnce(page);
    const behind = (selector, pseudo) => page.evaluate(([where, part]) =>
      getComputedStyle(document.querySelector(where), part).backgroundColor, [selector, pseudo]);
    const card = await behind('.card');
    for (const [selector, pseudo] of [['.felt', null], ['#chain .ok', '::before'], ['.key.observed', '::before'], ['.key.expected', '::before']]) {
      assert.notEqual(await behind(selector, pseudo), card, selector);
    }
  });

  test('the animation of the die is left out for those who ask for less motion', async (t) => {
    const { page } = await openPage(t, browser, { reducedMotion: 'reduce' });
    await rollOnce(page);
    const animations = await page.evaluate(() => document.querySelector('#felt .die').getAnimations().length);
    assert.equal(animations, 0);
  });
});
